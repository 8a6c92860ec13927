/**
 * Text that a container had a hand in (mount points, labels, names), made safe to print: no character moves the cursor,
 * changes colours or turns the direction of writing. What is escaped reads as in JSON.
 */
export function printable(text: string): string {
  // Control characters, and those that format (bidirectional overrides, joiners), separate lines or stand for nothing.
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu, (found) =>
    Array.from({ length: found.length }, (_, i) => `\\u${found.charCodeAt(i).toString(16).padStart(4, "0")}`).join(""),
  );
}
