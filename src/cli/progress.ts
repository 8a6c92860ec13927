/** Progress of unpacking on standard error: bars on a terminal, elsewhere a line for each thing that is done. Nothing fails for it. */
import { printable } from "../core/printable.ts";
import type { Progress } from "../image/options.ts";
import { tell } from "../log/log.ts";

/** Milliseconds between two looks of the bars. */
const REDRAW_MS = 100;
const BAR_COLUMNS = 24;

/** A digest's beginning, or the end of a path. */
const nameOf = (name: string): string => {
  const what = printable(name);
  return what.startsWith("sha256:") ? what.slice(7, 19) : what.length > 40 ? `…${what.slice(-39)}` : what;
};

const amount = (bytes: number): string =>
  bytes < 1024 ** 2 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;

function barOf(doneBytes: number, totalBytes: number): string {
  const filled = totalBytes === 0 ? BAR_COLUMNS : Math.floor((doneBytes / totalBytes) * BAR_COLUMNS);
  return `[${"=".repeat(filled).padEnd(BAR_COLUMNS)}] ${amount(doneBytes)} of ${amount(totalBytes)}`;
}

export interface ShownProgress extends Progress {
  /** Lets somebody else write to the terminal without spoiling the bars. */
  aside(write: () => void): void;
  /** Takes bars of what was not done away. */
  close(): void;
}

/** `isTerminal`: of `fd`. */
export function showProgress(isTerminal: boolean, fd = 2): ShownProgress {
  return isTerminal ? bars(fd) : lines(fd);
}

function lines(fd: number): ShownProgress {
  return {
    update() {},
    done: (what, how) => tell(`${nameOf(what)}: ${how}\n`, fd),
    aside: (write) => write(),
    close() {},
  };
}

function bars(fd: number): ShownProgress {
  const running = new Map<string, string>();
  let drawn = 0;
  let last = 0;
  /** Up over the bars, and everything from there on cleared. */
  const clear = (): string => (drawn === 0 ? "" : `\x1b[${drawn}A\x1b[J`);
  const draw = (before: string): void => {
    const text = [...running].map(([what, bar]) => `${nameOf(what)} ${bar}\n`).join("");
    tell(clear() + before + text, fd);
    drawn = running.size;
  };
  return {
    update(what, doneBytes, totalBytes) {
      running.set(what, barOf(doneBytes, totalBytes));
      const now = Date.now();
      if (now - last < REDRAW_MS) return;
      last = now;
      draw("");
    },
    done(what, how) {
      running.delete(what);
      draw(`${nameOf(what)} ${how}\n`);
    },
    aside(write) {
      tell(clear(), fd);
      drawn = 0;
      write();
      draw("");
    },
    close() {
      running.clear();
      draw("");
    },
  };
}
