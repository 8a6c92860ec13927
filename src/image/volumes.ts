/** -v and --tmpfs as docker and podman know them, as mounts of config.json. Pure. */
import { posix } from "node:path";
import type { Mount } from "../../spec-schemas/config.ts";
import { TsrunError } from "../core/errors.ts";

const volumeOptions = new Set([
  ...["ro", "rw", "bind", "rbind", "exec", "noexec", "suid", "nosuid", "dev", "nodev", "idmap"],
  ...["private", "rprivate", "shared", "rshared", "slave", "rslave"],
]);
const propagations = /^r?(?:private|shared|slave)$/;

function checkTarget(target: string, option: string): string {
  if (!target.startsWith("/") || posix.normalize(target) === "/") {
    throw new TsrunError("usage", `${option}: ${JSON.stringify(target)} is not an absolute path below the root`);
  }
  return target;
}

/** `SRC:DST[:OPTION,…]`; a source is a path, relative to `cwd` if it begins with a dot. Throws `usage` or `unsupported`. */
export function parseVolume(text: string, cwd: string): Mount {
  const wrong = (what: string, advice?: string): never => {
    throw new TsrunError("usage", `-v ${text}: ${what}`, advice === undefined ? {} : { advice });
  };
  const [source = "", target, options = "", ...rest] = text.split(":");
  if (target === undefined || rest.length > 0) return wrong("is not SRC:DST[:OPTIONS]");
  if (!/^[./]/.test(source)) {
    return wrong(
      `${JSON.stringify(source)} is not a path; there are no named volumes`,
      `./${source} is the file here, or give an absolute path`,
    );
  }
  const given = options === "" ? [] : options.split(",");
  for (const option of given) {
    if (option === "z" || option === "Z") {
      throw new TsrunError("unsupported", `-v ${text}: volumes are not labelled for SELinux`);
    }
    if (!volumeOptions.has(option)) wrong(`unknown option ${JSON.stringify(option)}`, [...volumeOptions].join(", "));
  }
  const alone = given.includes("bind");
  return {
    destination: checkTarget(target, `-v ${text}`),
    type: "bind",
    source: posix.resolve(cwd, source),
    options: [
      ...(alone || given.includes("rbind") ? [] : ["rbind"]),
      // What is mounted below the source is no more to be written than the source (Linux 5.12).
      ...(given.includes("ro") && !alone ? ["rro"] : []),
      ...(given.some((option) => propagations.test(option)) ? [] : ["rprivate"]),
      ...given,
    ],
  };
}

/** `DST[:OPTION,…]`, options of a tmpfs (tmpfs(5)); nosuid, nodev and noexec unless they are said otherwise. Throws `usage`. */
export function parseTmpfs(text: string): Mount {
  const colon = text.indexOf(":");
  const target = colon < 0 ? text : text.slice(0, colon);
  const given = colon < 0 ? [] : text.slice(colon + 1).split(",");
  return {
    destination: checkTarget(target, `--tmpfs ${text}`),
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "nodev", "noexec", ...given.filter((option) => option !== "")],
  };
}
