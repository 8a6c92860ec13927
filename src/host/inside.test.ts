import { expect, test } from "@jest/globals";
import { parseMounts } from "./inside.ts";

test("mountinfo: optional fields, escapes", () => {
  const text = [
    "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw",
    "37 36 0:5 / /a\\040b\\134c rw - tmpfs tmpfs rw",
    "",
  ].join("\n");
  expect(parseMounts(text)).toEqual([
    { id: 36, mountPoint: "/mnt2", fsType: "ext3" },
    { id: 37, mountPoint: "/a b\\c", fsType: "tmpfs" },
  ]);
});
