import { readlinkSync } from "node:fs";
import { errorCode } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";

const PATH = "/proc/self/ns/user";
/** Inode number of the initial user namespace (PROC_USER_INIT_INO, linux/proc_ns.h). */
const INITIAL = "user:[4026531837]";

/** Whether this process is in a user namespace other than the initial one; a kernel without them has no other. */
export function inUserNamespace(): boolean {
  try {
    return readlinkSync(PATH) !== INITIAL;
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return false;
    throw new TsrunError("unsupported", `cannot look at ${PATH}: ${errorCode(error)}`, { cause: error });
  }
}
