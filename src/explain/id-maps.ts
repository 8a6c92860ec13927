/** /proc/<pid>/uid_map and gid_map (user_namespaces(7)). */

interface Range {
  readonly inside: number;
  readonly outside: number;
  readonly size: number;
}

/** The ranges of a map, in the kernel's order. */
export function parseIdMap(text: string): Range[] {
  return text
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([inside, outside, size]) =>
      inside === undefined || outside === undefined || size === undefined ? [] : [{ inside, outside, size }],
    );
}

/** What one of our ids is in the container; undefined when it has none. */
export function idInside(map: readonly Range[], outside: number): number | undefined {
  const range = map.find((each) => outside >= each.outside && outside < each.outside + each.size);
  return range === undefined ? undefined : range.inside + (outside - range.outside);
}

/** One line a range, `inside outside size`, to be compared. */
export const idMapLines = (map: readonly Range[]): string[] =>
  map.map(({ inside, outside, size }) => `${inside} ${outside} ${size}`);
