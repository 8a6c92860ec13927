/**
 * A list of numbers as cpuset(7) writes them ("0-3,7") as a bit set, 64 numbers an element; spaces and empty elements
 * pass, as in runc. Undefined for what is no such list, or names a number above `highest`.
 */
export function numberSet(list: string, highest: number): bigint[] | undefined {
  const words: bigint[] = [];
  for (const element of list.split(",").map((each) => each.trim())) {
    if (element === "") continue;
    const [, from, to = from] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(element) ?? [];
    const [first, last] = [Number(from), Number(to)];
    // Not a number compares false.
    if (!(first <= last && last <= highest)) return undefined;
    for (let number = first; number <= last; number++) {
      const word = Math.floor(number / 64);
      while (words.length <= word) words.push(0n);
      words[word] = (words[word] as bigint) | (1n << BigInt(number % 64));
    }
  }
  return words;
}

/** Highest number of a CPU that any kernel knows (NR_CPUS is at most 8192). */
export const MAX_CPU = 8191;
/** Highest number of a memory node (MAX_NUMNODES is at most 1024). */
export const MAX_NODE = 1023;
