// Prints how to link libseccomp: the static archive when the distribution has it (then the addon needs nothing at run
// time), the shared library otherwise.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const folder = execFileSync("pkg-config", ["--variable=libdir", "libseccomp"], { encoding: "utf8" }).trim();
const archive = join(folder, "libseccomp.a");
console.log(existsSync(archive) ? archive : "-lseccomp");
