/** The standard streams of a process, as CRIU names what is not part of a container. */
import { readFileSync, readlinkSync, statSync } from "node:fs";
import { errorCode } from "../core/errno.ts";
import { parseMountinfo } from "./mountinfo.ts";

/** What the three streams are: `pipe:[…]`, `file[…]` for a file of the host, otherwise the path or what the kernel says. */
export function streamsOf(pid: number): string[] {
  const own = new Set(parseMountinfo(readFileSync(`/proc/${pid}/mountinfo`, "latin1")).map(({ id }) => id));
  return [0, 1, 2].map((fd) => {
    const path = `/proc/${pid}/fd/${fd}`;
    try {
      const link = readlinkSync(path);
      if (!link.startsWith("/")) return link;
      const mount = Number(/^mnt_id:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8"))?.[1]);
      if (own.has(mount)) return link;
      const file = statSync(path, { bigint: true });
      // A terminal of the host is --shell-job's.
      if (!file.isFile() && !file.isCharacterDevice()) return link;
      if (file.isCharacterDevice() && link.startsWith("/dev/pts/")) return link;
      // criu(8), --external: numbers are hexadecimal.
      return `file[${mount.toString(16)}:${file.ino.toString(16)}]`;
    } catch (error) {
      // The program has closed it.
      if (errorCode(error) === "ENOENT") return "";
      throw error;
    }
  });
}
