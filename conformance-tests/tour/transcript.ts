/** Console sessions in a markdown file: what is typed, and what is said to come of it. */

export interface Command {
  /** What is typed, with its further lines. */
  readonly text: string;
  readonly expected: readonly string[];
  /** Of the markdown file. */
  readonly line: number;
}

export interface Block {
  /** The heading above it. */
  readonly heading: string;
  /** For hosts with this version of cgroups; undefined for all. */
  readonly host: "v1" | "v2" | undefined;
  readonly commands: readonly Command[];
  readonly line: number;
}

/**
 * The fenced blocks of the language `console`, in order. "$ " begins a command, "> " goes on with it, everything else is what it
 * prints. Throws for a block of commands that would not be run.
 */
export function readBlocks(markdown: string): Block[] {
  const blocks: Block[] = [];
  let heading = "";
  let open:
    | { host: Block["host"]; commands: { text: string; expected: string[]; line: number }[]; line: number }
    | undefined;
  for (const [index, text] of markdown.split("\n").entries()) {
    const line = index + 1;
    if (open === undefined) {
      if (text.startsWith("#")) heading = text.replace(/^#+ /, "");
      if (!text.startsWith("```")) continue;
      const fence = /^```console(?: (v1|v2))?$/.exec(text);
      if (fence === null) throw new Error(`line ${line}: ${text} is no block that can be run`);
      open = { host: fence[1] as Block["host"], commands: [], line };
    } else if (text === "```") {
      if (open.commands.length === 0) throw new Error(`line ${open.line}: no command in this block`);
      blocks.push({ heading, ...open });
      open = undefined;
    } else if (text.startsWith("$ ")) open.commands.push({ text: text.slice(2), expected: [], line });
    else {
      const last = open.commands.at(-1);
      if (last === undefined) throw new Error(`line ${line}: output before a command`);
      if (text.startsWith("> ") && last.expected.length === 0) last.text += `\n${text.slice(2)}`;
      else last.expected.push(text);
    }
  }
  if (open !== undefined) throw new Error(`line ${open.line}: the block has no end`);
  return blocks;
}

/** Whether what was printed is what was expected: "…" stands for anything within a line, and alone in one for any lines. */
export function matches(expected: readonly string[], printed: string): boolean {
  const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const lines = expected.map((line) => (line === "…" ? "(?:.*\\n)*" : `${line.split("…").map(literal).join(".*")}\\n`));
  return new RegExp(`^${lines.join("")}$`).test(printed === "" || printed.endsWith("\n") ? printed : `${printed}\n`);
}
