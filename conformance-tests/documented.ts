import { readFileSync } from "node:fs";
import { resolve } from "node:path";

/** The path that docs/install.md has for an installed tsrun. */
const INSTALLED = '"/usr/local/bin/tsrun"';

/** The snippet of docs/install.md below the paragraph that matches, with the runtime under test in the place of the installed one. */
export function documented(paragraph: RegExp, runtime: string): string {
  const document = readFileSync(resolve(__dirname, "../docs/install.md"), "utf8");
  const found = document.split(/^(?=\*\*)/m).find((text) => paragraph.test(text.split("\n\n", 1)[0] ?? ""));
  const snippet = /\n\n((?: {4}.*\n)+)/.exec(found ?? "")?.[1];
  if (snippet === undefined) throw new Error(`docs/install.md has no snippet for ${paragraph.source}`);
  if (!snippet.includes(INSTALLED)) throw new Error(`the snippet for ${paragraph.source} does not name ${INSTALLED}`);
  return snippet.replaceAll(INSTALLED, JSON.stringify(runtime));
}
