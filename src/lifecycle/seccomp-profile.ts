/** Which seccomp filter a container of an image gets: that of a file, the system's for containers, or none. */
import { existsSync } from "node:fs";
import type { Seccomp } from "../../spec-schemas/config.ts";
import { loadSeccompProfile } from "../bundle/load.ts";
import { TsrunError } from "../core/errors.ts";
import type { HostFacts } from "../host/facts.ts";
import { convertSeccomp, defaultProfiles } from "../image/seccomp.ts";
import type { Log } from "../log/log.ts";

/** --security-opt seccomp=…; `default` without one. */
export type SeccompChoice =
  | { readonly kind: "default" }
  | { readonly kind: "unconfined" }
  | { readonly kind: "file"; readonly path: string };

/**
 * `capabilities`: the container's bounding set. A system that has no profile is told of, since the container then has no filter.
 * Throws `config` with every problem of the file, and when it cannot be read.
 */
export function chooseSeccomp(
  choice: SeccompChoice,
  { capabilities, kernel, log }: { capabilities: readonly string[]; kernel: HostFacts["kernel"]; log: Log },
): Seccomp | undefined {
  if (choice.kind === "unconfined") return undefined;
  const path = choice.kind === "file" ? choice.path : defaultProfiles.find((each) => existsSync(each));
  if (path === undefined) {
    log.warn(
      `the container has no seccomp filter: there is neither ${defaultProfiles.join(" nor ")} (--security-opt seccomp=FILE gives one, seccomp=unconfined says that none is wanted)`,
    );
    return undefined;
  }
  log.debug(`seccomp profile: ${path}`);
  try {
    return convertSeccomp(loadSeccompProfile(path), { architecture: process.arch, kernel, capabilities });
  } catch (error) {
    if (!(error instanceof TsrunError)) throw error;
    throw new TsrunError(error.code, `seccomp profile ${path}: ${error.message}`, {
      ...(choice.kind === "default" && {
        advice: "--security-opt seccomp=FILE takes another, seccomp=unconfined none",
      }),
      cause: error,
    });
  }
}
