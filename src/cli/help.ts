/** Help texts, made by yargs from the same tables that arguments are parsed with. */
import type { Options } from "yargs";
import { commit, specVersion, version } from "../core/version.ts";
import { type Command, globalOptions } from "./command.ts";
import { commands } from "./commands.ts";
import type { OptionTable } from "./options.ts";

export function versionText(): string {
  return `tsrun version ${version}\ncommit: ${commit}\nspec: ${specVersion}\n`;
}

const typeOf = { flag: "boolean", text: "string", texts: "array", count: "number" } as const;

function yargsOptions(table: OptionTable): Record<string, Options> {
  return Object.fromEntries(
    Object.entries(table)
      .filter(([, { hidden }]) => hidden !== true)
      .map(([name, { type, alias, describe }]) => [
        name,
        { type: typeOf[type], describe, ...(alias !== undefined && { alias }) },
      ]),
  );
}

/** Help of one command, or of tsrun as a whole. */
export async function helpText(name?: string, command?: Command): Promise<string> {
  const { default: yargs } = await import("yargs");
  const made = yargs([]).scriptName("tsrun").detectLocale(false).help(false).version(false).wrap(110);
  if (name !== undefined && command !== undefined) {
    made.usage(`tsrun [global options] ${name} [options] ${command.usage}\n\n${commands[name]?.summary ?? ""}`.trim());
    made.options(yargsOptions(command.options));
  } else {
    made.usage("tsrun [global options] <command> [options] [arguments]");
    for (const [each, { summary }] of Object.entries(commands)) made.command(each, summary);
    made.options(yargsOptions(globalOptions));
    made.epilogue("tsrun <command> --help shows a command's options.");
  }
  return `${await made.getHelp()}\n`;
}
