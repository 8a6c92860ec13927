import { spawn } from "node:child_process";
import { IMAGE } from "../busybox-image.ts";
import { until } from "../scenarios.ts";
import type { Containerd } from "./engine.ts";

/** Collects what `ctr events` prints, of all namespaces, while `use` runs. */
export async function withEvents(
  engine: Containerd,
  use: (events: { readonly text: string }) => Promise<void>,
): Promise<void> {
  const events = { text: "" };
  const child = spawn("ctr", ["--address", engine.socket, "events"], { stdio: ["ignore", "pipe", "inherit"] });
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    events.text += text;
  });
  const ended = new Promise((done) => child.once("close", done));
  try {
    // It says nothing when it listens: an image's label makes an event that it must show.
    await until("ctr to listen", async () => {
      await engine.ok(["images", "label", IMAGE, `asked=${Date.now()}`]);
      return events.text.includes("/images/update");
    });
    await use(events);
  } finally {
    child.kill();
    await ended;
  }
}
