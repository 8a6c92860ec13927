import { describe, expect, test } from "@jest/globals";
import { MountTable, parseMountinfo } from "./mountinfo.ts";

const text = `21 1 8:1 /images/web / ro,relatime - ext4 /dev/sda1 rw,discard
22 21 0:21 / /proc rw,nosuid shared:5 master:2 propagate_from:1 - proc proc rw
23 21 0:22 / /dev rw - tmpfs none rw,size=64k
24 23 0:23 / /dev/shm rw - tmpfs none rw
25 23 0:24 / /dev/shm ro - tmpfs none rw
26 25 0:25 / /dev/shm rw - tmpfs on\\040top rw
27 21 0:26 / /data/deep rw - tmpfs none rw
28 21 0:27 / /data rw - ext4 /dev/sdb rw
29 21 0:28 /gone//deleted /b\\303\\244r\\012\\134x rw unbindable - ext4 /dev/sdb rw,lowerdir=/a\\054b
`;
const mounts = parseMountinfo(text);
const table = new MountTable(mounts);

describe("mountinfo", () => {
  test("optional fields, escapes and options", () => {
    expect(mounts[1]).toEqual({
      id: 22,
      parent: 21,
      device: "0:21",
      root: "/",
      point: "/proc",
      options: ["rw", "nosuid"],
      propagation: ["shared:5", "master:2", "propagate_from:1"],
      type: "proc",
      source: "proc",
      superOptions: ["rw"],
    });
    expect(mounts[8]).toMatchObject({
      point: "/bär\n\\x",
      root: "/gone//deleted",
      propagation: ["unbindable"],
      superOptions: ["rw", "lowerdir=/a,b"],
    });
  });

  test("a path is walked as the kernel does: the topmost mount of each component", () => {
    expect(table.covering("/etc/passwd")?.id).toBe(21);
    expect(table.covering("/proc/self/status")?.id).toBe(22);
    expect(table.covering("/dev/shm/x")?.id).toBe(26);
    expect(table.covering("/procs")?.id).toBe(21);
    expect(table.at("/")?.id).toBe(21);
    expect(table.at("/dev/shm")?.source).toBe("on top");
    expect(table.at("/dev/shm/x")).toBeUndefined();
  });

  test("what another mount covers is hidden", () => {
    const hidden = mounts.filter((mount) => !table.isVisible(mount)).map(({ id }) => id);
    // 27 lies below the directory that 28 was mounted over.
    expect(hidden).toEqual([24, 25, 27]);
    expect(table.at("/data/deep")).toBeUndefined();
  });

  test("a process whose root is no mount point", () => {
    const inside = new MountTable(parseMountinfo("31 30 0:21 / /proc rw - proc proc rw\n"));
    expect(inside.covering("/etc")).toBeUndefined();
    expect(inside.at("/proc")?.id).toBe(31);
  });
});
