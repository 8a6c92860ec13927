import { isatty } from "node:tty";
import { TsrunError } from "../../core/errors.ts";
import { openImage } from "../../image/open.ts";
import { layerStore } from "../../image/store.ts";
import { unpackImage, unpackTree } from "../../image/unpack.ts";
import { writeAll } from "../../log/log.ts";
import { defineCommand, positional } from "../command.ts";
import { showProgress } from "../progress.ts";
import { imageOptions, openOptionsOf, unpackOptionsOf } from "../unpack-options.ts";

export const command = defineCommand({
  usage: "<archive> [directory]",
  options: { ...imageOptions, quiet: { type: "flag", alias: "q", describe: "no progress" } },
  positionals: [1, 2],
  async run(parsed, { context }) {
    const { options } = parsed;
    const store = layerStore(options.store);
    const source = await openImage(positional(parsed, 0), openOptionsOf(options));
    const progress = showProgress(isatty(2));
    const told = new Set<string>();
    const unpackOptions = {
      ...unpackOptionsOf(options),
      ...(!options.quiet && { progress }),
      warn: (line: string) => {
        // Layers have much in common.
        if (told.has(line)) return;
        told.add(line);
        progress.aside(() => context.log.warn(line));
      },
    };
    try {
      const directory = parsed.positionals[1];
      if (directory !== undefined) await unpackTree(source, directory, store, unpackOptions);
      else if (source.kind === "image") {
        const { layers } = await unpackImage(source, store, unpackOptions);
        writeAll(1, layers.map((path) => `${path}\n`).join(""));
      } else {
        throw new TsrunError("usage", `${source.path} is no image, so it has no layers`, {
          advice: "name a directory: tsrun unpack ARCHIVE DIR",
        });
      }
    } finally {
      progress.close();
      source.close();
    }
    return 0;
  },
});
