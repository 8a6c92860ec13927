/**
 * Text that an image or container had a hand in (mount points, labels, names), made safe to print: no character moves the
 * cursor, begins a line, changes colours or turns the direction of writing. What is escaped reads as in JSON.
 */
export function printable(text: string): string {
  // Control characters, and those that format (bidirectional overrides, joiners), separate lines or stand for nothing.
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu, (found) =>
    Array.from({ length: found.length }, (_, i) => `\\u${found.charCodeAt(i).toString(16).padStart(4, "0")}`).join(""),
  );
}

/** The same for a message of ours that may have such text in it: its lines and tabs stay. */
export function printableLines(text: string): string {
  return text.replace(/[^\n\t]+/g, printable);
}
