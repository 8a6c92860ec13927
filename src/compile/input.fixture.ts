/** For tests: what a caller asks of create who asks for nothing in particular. */
import type { AbsPath } from "../core/brands.ts";
import type { CreateOptions } from "./input.ts";

export const plainOptions: CreateOptions = {
  console: { kind: "none" },
  noPivot: false,
  noNewKeyring: false,
  preserveFds: 0,
  pidfdSocket: undefined,
  stateDirectory: "/run/tsrun/web" as AbsPath,
  seccompCache: undefined,
};
