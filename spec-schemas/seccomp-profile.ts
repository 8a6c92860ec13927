/**
 * A seccomp profile as engines have it (moby's profiles/seccomp, containers/common's pkg/seccomp): linux.seccomp of
 * config.json, and beside it what holds on some hosts or for some containers only (`archMap`, `includes`, `excludes`), names of
 * errnos and the older `name`. linux.seccomp itself is such a profile. Null stands for what is not there, as Go programs write it.
 * Unknown properties are dropped; an unknown condition is an error, since a rule without it would hold for everybody.
 */
import * as z from "zod/mini";
import { seccompActions, seccompArchitectures, seccompArgument, seccompFlags } from "./config.ts";

const maybe = z.nullish;
const text = z.string().check(z.refine((value) => !value.includes("\0"), "text without NUL"));
const names = z.array(text.check(z.minLength(1, "the name of a system call")));
const action = z.enum(seccompActions);
const architecture = z.enum(seccompArchitectures);
const errno = z.int().check(z.gte(0), z.lte(65_535));

const condition = z.strictObject(
  {
    /** Of the bounding set. */
    caps: maybe(z.array(text)),
    /** libseccomp's names: amd64, x86, arm64, … */
    arches: maybe(z.array(text)),
    /** At least this one. */
    minKernel: maybe(z.string().check(z.regex(/^(?:\d{1,4}\.\d{1,4}\S*)?$/, "a version of Linux such as 4.8"))),
  },
  "an object with caps, arches and minKernel only",
);
export type SeccompCondition = z.infer<typeof condition>;

export const seccompProfileSchema = z.object({
  defaultAction: action,
  defaultErrnoRet: maybe(errno),
  defaultErrno: maybe(text),
  architectures: maybe(z.array(architecture)),
  archMap: maybe(z.array(z.object({ architecture, subArchitectures: maybe(z.array(architecture)) }))),
  flags: maybe(z.array(z.enum(seccompFlags))),
  listenerPath: maybe(text),
  listenerMetadata: maybe(z.string()),
  syscalls: maybe(
    z.array(
      z.object({
        name: maybe(text),
        names: maybe(names),
        action,
        errnoRet: maybe(errno),
        errno: maybe(text),
        args: maybe(z.array(seccompArgument)),
        includes: maybe(condition),
        excludes: maybe(condition),
      }),
    ),
  ),
});
export type SeccompProfile = z.infer<typeof seccompProfileSchema>;
export type SeccompProfileRule = NonNullable<SeccompProfile["syscalls"]>[number];
