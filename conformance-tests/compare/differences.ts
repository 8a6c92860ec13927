/** Compares what two runtimes showed of one bundle: every difference is expected, with a reason, or a failure. */
import type { Peer } from "./bundle.ts";
import { type Expected, expected } from "./expected.ts";
import type { Facts } from "./facts.ts";

export interface Difference {
  readonly key: string;
  readonly tsrun: string | undefined;
  readonly peer: string | undefined;
  /** Undefined: nobody has said why. */
  readonly expected: Expected | undefined;
}

export function differences(bundle: string, peer: Peer, tsrun: Facts, other: Facts): Difference[] {
  const keys = [...new Set([...Object.keys(tsrun), ...Object.keys(other)])].sort();
  // Where only one of them made the container there is nothing more to compare.
  const one = tsrun["outcome/create"] !== other["outcome/create"] || tsrun["outcome/start"] !== other["outcome/start"];
  return keys
    .filter((key) => !one || /^outcome\/(create|start)$/.test(key))
    .filter((key) => tsrun[key] !== other[key])
    .map((key) => ({
      key,
      tsrun: tsrun[key],
      peer: other[key],
      expected: expected.find((each) => explains(each, bundle, peer, key, tsrun[key], other[key])),
    }));
}

function explains(
  { peers, key, bundles, values }: Expected,
  bundle: string,
  peer: Peer,
  at: string,
  tsrun: string | undefined,
  other: string | undefined,
): boolean {
  return (
    peers.includes(peer) &&
    key.test(at) &&
    (bundles === undefined || bundles.includes(bundle)) &&
    (values === undefined || values(tsrun, other))
  );
}

/** The same difference of the container's program and of one that is executed in it is one. */
export function joinInsides(all: readonly Difference[]): Difference[] {
  const same = (a: Difference, b: Difference): boolean => a.tsrun === b.tsrun && a.peer === b.peer;
  return all.flatMap((each) => {
    const other = (prefix: string): Difference | undefined =>
      all.find(({ key }) => key === each.key.replace(/^(init|exec)\//, prefix));
    if (each.key.startsWith("exec/")) {
      const init = other("init/");
      return init !== undefined && same(each, init) ? [] : [each];
    }
    if (!each.key.startsWith("init/")) return [each];
    const exec = other("exec/");
    return [
      exec !== undefined && same(each, exec) ? { ...each, key: each.key.replace("init/", "init and exec/") } : each,
    ];
  });
}

export function renderDifference(peer: Peer, { key, tsrun, peer: other, expected: why }: Difference): string {
  return [
    key,
    `    ${"tsrun".padEnd(6)} ${show(tsrun)}`,
    `    ${peer.padEnd(6)} ${show(other)}`,
    ...(why === undefined ? [] : [`    reason ${why.reason}`]),
  ].join("\n");
}

const show = (value: string | undefined): string =>
  value === undefined ? "(nothing)" : value === "" ? '""' : value.replaceAll("\n", `\n${" ".repeat(11)}`);
