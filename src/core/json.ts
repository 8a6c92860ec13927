/**
 * JSON.stringify, but bigints are written as integers with all their digits: limits of cgroups go up to 2^64 - 1.
 * `indent`: as of JSON.stringify.
 */
export function encodeJson(value: unknown, indent?: string): string {
  // No text of the value holds the mark: it is chosen so.
  let mark = "@";
  const plain = JSON.stringify(value, (_, each: unknown) => (typeof each === "bigint" ? String(each) : each), indent);
  while (plain.includes(`"${mark}`)) mark += "@";
  const marked = JSON.stringify(
    value,
    (_, each: unknown) => (typeof each === "bigint" ? `${mark}${each}` : each),
    indent,
  );
  return marked.replace(new RegExp(`"${mark}(-?\\d+)"`, "g"), "$1");
}
