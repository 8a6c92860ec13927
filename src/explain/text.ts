/** What explain prints. Nothing of it can do more to a terminal than write. */

import { printable } from "../core/printable.ts";
import { differences } from "./explain.ts";
import { type Explanation, type Item, sections, type Value, type Verdict } from "./item.ts";

/** What stands before a line: a difference is to be seen without colours, too. */
const marks: Readonly<Record<Verdict, string>> = {
  ok: "ok",
  adjusted: "adjusted",
  differs: "DIFFERS",
  unknown: "unknown",
  info: "-",
};
/** SGR codes: red, yellow. */
const colours: Readonly<Partial<Record<Verdict, number>>> = { differs: 31, adjusted: 33, unknown: 33 };

const MARK_WIDTH = 10;
const NAME_WIDTH = 28;
const WIDTH = 100;

export function explanationToJson(explanation: Explanation): string {
  // Only inside its texts JSON has anything that is escaped here, but for the ends of its lines.
  const lines = JSON.stringify({ ...explanation, differences: differences(explanation.items) }, null, 2).split("\n");
  return `${lines.map(printable).join("\n")}\n`;
}

export function explanationToText(explanation: Explanation, options: { readonly colour: boolean }): string {
  const { id, status, pid, bundle, items } = explanation;
  const count = differences(items);
  const found = count === 0 ? "as configured" : `${count} ${count === 1 ? "thing is" : "things are"} not as configured`;
  return `${id}: ${status}, process ${pid}, bundle ${printable(bundle)}: ${found}\n${renderItems(items, options)}`;
}

function renderItems(items: readonly Item[], options: { readonly colour: boolean }): string {
  return sections
    .flatMap((section) => {
      const own = items.filter((item) => item.section === section);
      return own.length === 0 ? [] : [section, ...own.flatMap((item) => renderItem(item, options.colour))];
    })
    .map((line) => `${line}\n`)
    .join("");
}

function renderItem({ name, verdict, configured, actual, note }: Item, colour: boolean): string[] {
  const code = colours[verdict];
  const mark = `  ${marks[verdict].padEnd(MARK_WIDTH)}`;
  const painted = colour && code !== undefined ? `\u001b[${code}m${mark}\u001b[0m` : mark;
  const indent = " ".repeat(2 + MARK_WIDTH + NAME_WIDTH);
  const [first = "", ...rest] = wrap(actual === undefined ? "not looked at" : textOf(actual), indent.length);
  const label = printable(name).padEnd(NAME_WIDTH);
  // A long name gets a line of its own.
  const head = label.length > NAME_WIDTH ? [`${painted}${label}`, `${indent}${first}`] : [`${painted}${label}${first}`];
  const further: string[] = [];
  if (verdict !== "ok" && verdict !== "info" && configured !== undefined) {
    further.push(...wrap(`configured: ${textOf(configured)}`, indent.length));
  }
  if (note !== undefined) further.push(...wrap(`(${printable(note)})`, indent.length));
  return [...head, ...[...rest, ...further].map((line) => `${indent}${line}`)].map((line) => line.trimEnd());
}

function textOf(value: Value): string {
  if (typeof value === "string") return printable(value);
  if (value.length === 0) return "none";
  return value.map(printable).join(value.some((each) => each.includes(" ")) ? ", " : " ");
}

function wrap(text: string, indent: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
