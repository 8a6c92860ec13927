import { describe, expect, test } from "@jest/globals";
import { guessLaunch, parseLaunch } from "./launch-state.ts";

describe("parseLaunch", () => {
  test("reads what bin/tsrun writes", () => {
    expect(parseLaunch("v1;nofile=1024:18446744073709551615;ignored=1000;fds=0,1,2,17")).toEqual({
      nofile: { soft: 1024n, hard: 18446744073709551615n },
      ignoredSignals: 0x1000n,
      validFds: [0, 1, 2, 17],
    });
    expect(parseLaunch("v1;nofile=1:2;ignored=0;fds=").validFds).toEqual([]);
  });
  test.each(["", "v2;nofile=1:2;ignored=0;fds=0", "v1;nofile=1:2;ignored=0;fds=0,", "v1;nofile=-1:2;ignored=0;fds=0"])(
    "refuses %j",
    (text) => expect(() => parseLaunch(text)).toThrow(/not what bin\/tsrun writes/),
  );
});

test("guessLaunch takes back the signals that Node ignores", () => {
  const limits =
    "Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1048576              unlimited            files     \n";
  const status = "Name:\tnode\nSigQ:\t0/1\nSigIgn:\t0000000001001001\nCapPrm:\t00\n";
  expect(guessLaunch(limits, status)).toEqual({
    nofile: { soft: 1048576n, hard: 0xffff_ffff_ffff_ffffn },
    ignoredSignals: 0x1n,
    validFds: undefined,
  });
});
