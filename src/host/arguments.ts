import { isUtf8 } from "node:buffer";
import { readFileSync } from "node:fs";

/** Whether the arguments of this process are UTF-8. Node has no bytes of them, only texts with replacements. */
export function argumentsAreUtf8(): boolean {
  return isUtf8(readFileSync("/proc/self/cmdline"));
}
