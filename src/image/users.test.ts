/** Config.User in all its forms, and what must never become an id. */
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { parseGroup, parseId, parsePasswd, resolveUser } from "./users.ts";

const files = {
  passwd: () => `# users
root:x:0:0:root:/root:/bin/sh
web:x:1000:1001:Web:/srv:/bin/sh
1234:x:0:0:a number for a name:/:/bin/sh
broken:x:zero:0::/:/bin/sh
minus:x:4294967295:4294967295::/:/bin/sh
short:x
`,
  group: () => `root:x:0:
web:x:1001:
www:x:33:web,other
adm:x:4:other,web
again:x:33:web
broken:x:-1:web
`,
};
const nothing = { passwd: () => "", group: () => "" };
const unread = {
  passwd: () => {
    throw new Error("passwd was read");
  },
  group: () => {
    throw new Error("group was read");
  },
};

describe("a user", () => {
  test.each([
    ["", { uid: 0, gid: 0 }],
    ["web", { uid: 1000, gid: 1001, additionalGids: [33, 4] }],
    ["web:www", { uid: 1000, gid: 33 }],
    ["web:7", { uid: 1000, gid: 7 }],
    ["1000", { uid: 1000, gid: 1001 }],
    ["1000:www", { uid: 1000, gid: 33 }],
    ["1000:7", { uid: 1000, gid: 7 }],
    ["4711", { uid: 4711, gid: 0 }],
    ["4294967294:4294967294", { uid: 4_294_967_294, gid: 4_294_967_294 }],
    ["root", { uid: 0, gid: 0 }],
  ])("%j", (text, user) => expect(resolveUser(text, files)).toEqual(user));

  test("needs no file where both are numbers", () => {
    expect(resolveUser("1000:1000", unread)).toEqual({ uid: 1000, gid: 1000 });
  });

  test("that is a number is never looked up as a name (CVE-2016-3697)", () => {
    expect(resolveUser("1234", files)).toEqual({ uid: 1234, gid: 0 });
  });

  test.each([
    "nobody",
    "web:nogroup",
    "nobody:0",
    ":",
    "web:",
    ":0",
    "4294967295",
    "4294967296",
    "18446744073709551616",
    "-1",
    "+0",
    "00",
    "0:4294967295",
    "0:00",
    "0:-1",
    " 0",
    "0 ",
    "0x0",
    "0\n",
    "broken",
    "minus",
    "short",
    "web:broken",
    "web:www:0",
  ])("%j is refused", (text) => {
    expect(() => resolveUser(text, files)).toThrow(
      new RegExp(`^user ${JSON.stringify(text).replace(/[+\\]/g, "\\$&")}: `),
    );
  });

  test("of an image without the files can only be a number", () => {
    expect(resolveUser("5", nothing)).toEqual({ uid: 5, gid: 0 });
    expect(() => resolveUser("root", nothing)).toThrow(/"root" is not in the image's \/etc\/passwd/);
  });
});

test("no text becomes root but root's own", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 24 }), (text) => {
      fc.pre(text !== "" && !/^(?:0|root|1234)(?::|$)/.test(text));
      try {
        expect(resolveUser(text, files).uid).not.toBe(0);
      } catch (error) {
        expect(String(error)).toMatch(/user /);
      }
    }),
  );
});

test("an id is a decimal number of 32 bits", () => {
  expect(["0", "7", "4294967294"].map(parseId)).toEqual([0, 7, 4_294_967_294]);
  for (const text of ["", "01", "-1", "+1", "1e3", "0x1", "4294967295", "99999999999", " 1", "1 "]) {
    expect(parseId(text)).toBeUndefined();
  }
});

test("lines that are no entries are passed over", () => {
  expect(parsePasswd(files.passwd()).map(({ name }) => name)).toEqual(["root", "web", "1234"]);
  expect(parseGroup(files.group()).map(({ name }) => name)).toEqual(["root", "web", "www", "adm", "again"]);
  expect(parseGroup("g:x:5")).toEqual([{ name: "g", gid: 5, members: [] }]);
});
