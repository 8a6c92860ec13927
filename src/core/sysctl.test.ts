import { describe, expect, test } from "@jest/globals";
import { isSysctlKey, sysctlKey, sysctlNamespace } from "./sysctl.ts";

describe("sysctl names", () => {
  test.each([
    ["net.ipv4.ip_forward", "net.ipv4.ip_forward"],
    ["net/ipv4/ip_forward", "net.ipv4.ip_forward"],
    ["net/ipv4/conf/eth0.5/forwarding", "net.ipv4.conf.eth0/5.forwarding"],
    ["net.ipv4.conf.eth0/5.forwarding", "net.ipv4.conf.eth0/5.forwarding"],
  ])("%s", (name, key) => expect(sysctlKey(name)).toBe(key));

  test.each(["", ".", "net.", ".net", "net..core", "net/../kernel", "net/./core", "/net", "../net"])(
    "%j is none",
    (name) => expect(isSysctlKey(sysctlKey(name))).toBe(false),
  );

  test.each([
    ["kernel.msgmax", "ipc"],
    ["fs.mqueue.queues_max", "ipc"],
    ["net.core.somaxconn", "network"],
    ["kernel.domainname", "uts"],
    ["user.max_user_namespaces", "user"],
    ["kernel.msgmax2", undefined],
    ["vm.swappiness", undefined],
    ["network.x", undefined],
  ])("%s belongs to %s", (key, namespace) => expect(sysctlNamespace(key)).toBe(namespace));
});
