// One QEMU process: its command line, its monitor (QMP) and its ports. The guest's side is image/root/usr/local/lib/vm/agent.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { GuestError } from "./common.mjs";

/** What a saved state depends on besides the image: two machines that differ here cannot resume each other's. */
export const machine = {
  memoryMiB: 3072,
  // Emulation runs `rep movsb`, which the kernel copies with when the CPU claims it fast, one byte at a time; stac and clac
  // (smap) end a translated block; five-level page tables (la57) only make walks longer.
  cpu: "max,la57=off,erms=off,fsrm=off,smap=off",
  cpus: 2,
  board: "pc,vmport=off,usb=off,hpet=off",
  accelerator: "tcg,thread=multi,tb-size=512",
  // One size, whatever is on it: the resumed kernel remembers the disk's size.
  projectDiskBytes: 4 * 2 ** 30,
  kernelArguments: [
    "console=ttyS0 root=/dev/vda rw quiet loglevel=3 panic=-1",
    "cgroup_no_v1=all systemd.unified_cgroup_hierarchy=1 net.ifnames=0",
    // Every grace period expedited: joining and leaving cgroups and namespaces wait for them.
    "rcupdate.rcu_expedited=1",
    // What protects a machine that lives for one command costs emulation a third of its speed.
    "mitigations=off init_on_alloc=0 hardened_usercopy=off randomize_kstack_offset=off nokaslr",
    "no_timer_check tsc=reliable nowatchdog random.trust_cpu=on",
    "systemd.show_status=false systemd.log_level=warning",
  ].join(" "),
};

const ports = ["in", "out", "err", "result"];

/** Sends commands to QEMU's monitor and keeps its events. */
class Monitor {
  #socket;
  #replies = [];
  #events = [];
  #waiting = [];

  constructor(socket) {
    this.#socket = socket;
    let rest = "";
    socket.setEncoding("utf8").on("data", (text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      for (const line of lines) this.#take(JSON.parse(line));
    });
  }

  #take(message) {
    if (message.event !== undefined) {
      this.#events.push(message);
      for (const wake of this.#waiting.splice(0)) wake();
    } else if (message.QMP === undefined) this.#replies.shift()(message);
  }

  async command(name, parameters = {}) {
    const reply = new Promise((resolve) => this.#replies.push(resolve));
    this.#socket.write(`${JSON.stringify({ execute: name, arguments: parameters })}\n`);
    const message = await reply;
    if (message.error !== undefined) throw new GuestError(`${name}: ${message.error.desc}`);
    return message.return;
  }

  /** The first event that `matches`, also one that came before. */
  async event(matches) {
    for (;;) {
      const found = this.#events.find(matches);
      if (found !== undefined) return found;
      await new Promise((resolve) => this.#waiting.push(resolve));
    }
  }
}

async function connect(path, guest) {
  for (;;) {
    const socket = createConnection(path);
    const outcome = await Promise.race([
      once(socket, "connect").then(
        () => "connected",
        () => "refused",
      ),
      guest.ended.then(() => "ended"),
    ]);
    if (outcome === "connected") {
      // QEMU's end resets its connections; `ended` tells of it.
      socket.on("error", () => {});
      return socket;
    }
    socket.destroy();
    if (outcome === "ended") throw new GuestError("QEMU ended at once");
    await sleep(5);
  }
}

/** A running machine. */
export class Guest {
  #process;
  #console;
  #log;

  /**
   * Starts QEMU and connects to it. `state` is the folder of the machine's disk, memory and devices: with `boot` the first is
   * booted from and the others are made by `save`; otherwise the machine is resumed and its changes are thrown away.
   * `directory` gets the logs and those changes.
   */
  static async start({
    image,
    kernel,
    kernelArguments,
    state,
    boot = false,
    projectDisk,
    directory,
    terminal = false,
  }) {
    const guest = new Guest();
    guest.#console = join(directory, "console.log");
    guest.#log = join(directory, "qemu.log");
    // Not below the cache: a socket's path ends at 107 bytes.
    const sockets = mkdtempSync(join(tmpdir(), "tsrun-vm-"));
    const path = (name) => join(sockets, name);
    const drive = (id, file, snapshot, slot) => [
      ...["-drive", `if=none,id=${id},file=${file},format=raw,cache=unsafe,snapshot=${snapshot ? "on" : "off"}`],
      ...["-device", `virtio-blk-pci,drive=${id},addr=${slot}`],
    ];
    const line = [
      ...["-machine", `${machine.board},memory-backend=memory`, "-accel", machine.accelerator],
      ...["-cpu", machine.cpu, "-smp", String(machine.cpus), "-m", String(machine.memoryMiB)],
      // The saved memory is mapped copy-on-write: nothing is read before it is touched, and runs do not see each other.
      "-object",
      `memory-backend-file,id=memory,size=${machine.memoryMiB}M,mem-path=${join(state, "memory")},share=${boot ? "on" : "off"}`,
      ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none"],
      ...["-kernel", join(image, `vmlinuz-${kernel}`), "-initrd", join(image, `initrd-${kernel}`)],
      ...["-append", `${machine.kernelArguments} ${kernelArguments}`],
      ...drive("root", join(state, "disk.ext4"), !boot, 4),
      ...drive("project", projectDisk, true, 5),
      ...["-device", "virtio-rng-pci,addr=6", "-device", "virtio-serial-pci,max_ports=8,addr=7"],
      // A new generation at every start: the resumed kernel makes its random state anew.
      ...["-device", "vmgenid,guid=auto"],
      ...["-chardev", terminal ? "stdio,id=console,signal=off" : `file,id=console,path=${guest.#console}`],
      ...["-serial", "chardev:console", "-qmp", `unix:${path("qmp")},server=on,wait=off`],
      ...ports.flatMap((port, i) => [
        ...["-chardev", `socket,id=${port},path=${path(port)},server=on,wait=off`],
        ...["-device", `virtserialport,chardev=${port},id=port-${port},name=${port},nr=${i + 1}`],
      ]),
      ...(boot ? [] : ["-incoming", "defer"]),
    ];
    const log = openSync(guest.#log, "w");
    // However this process ends, QEMU ends with it.
    guest.#process = spawn("setpriv", ["--pdeathsig", "KILL", join(image, "qemu"), ...line], {
      stdio: terminal ? ["inherit", "inherit", log] : ["ignore", log, log],
      env: { ...process.env, TMPDIR: directory },
    });
    closeSync(log);
    guest.ended = new Promise((resolve) => {
      guest.#process.on("exit", resolve);
      guest.#process.on("error", resolve);
    });
    try {
      // All before the guest runs: a port without a host end reads as end of file.
      guest.ports = {};
      for (const port of ports) guest.ports[port] = await connect(path(port), guest);
      guest.monitor = new Monitor(await connect(path("qmp"), guest));
      await guest.monitor.command("qmp_capabilities");
      if (!boot) await guest.#resume(join(state, "devices"));
    } catch (error) {
      await guest.kill();
      throw guest.#explain(error);
    } finally {
      rmSync(sockets, { recursive: true });
    }
    return guest;
  }

  /** The guest's memory stays in its file; this is about all the rest. */
  async #withoutMemory() {
    await this.monitor.command("migrate-set-capabilities", {
      capabilities: [{ capability: "x-ignore-shared", state: true }],
    });
  }

  async #resume(devices) {
    await this.#withoutMemory();
    await this.monitor.command("migrate-incoming", { uri: `exec:cat '${devices}'` });
    await this.#until(async () => (await this.monitor.command("query-status")).status !== "inmigrate");
    await this.monitor.command("cont");
  }

  /** Waits until the agent listens for a script. */
  async ready() {
    const open = this.monitor.event(
      ({ event, data }) => event === "VSERPORT_CHANGE" && data.id === "port-in" && data.open,
    );
    await this.#orEnd(open);
  }

  /** Writes what is not memory or disk into the state's folder and ends the machine. */
  async save(state) {
    // The port is open a moment before the agent sleeps in its read.
    await sleep(500);
    await this.monitor.command("stop");
    await this.#withoutMemory();
    await this.monitor.command("migrate", { uri: `exec:cat >'${join(state, "devices")}'` });
    await this.#until(async () => {
      const { status } = await this.monitor.command("query-migrate");
      if (status === "failed" || status === "cancelled") throw new GuestError("QEMU could not save its state");
      return status === "completed";
    });
    await this.monitor.command("quit");
    await this.ended;
  }

  async #until(condition) {
    while (!(await this.#orEnd(condition()))) await sleep(20);
  }

  async #orEnd(promise) {
    const end = this.ended.then(() => {
      throw new GuestError("QEMU ended before its time");
    });
    return Promise.race([promise, end]);
  }

  /** Runs `work`. Past the deadline, at a signal and when it fails, the machine is killed. */
  async within(deadline, work) {
    let end;
    const cut = new Promise((_, reject) => {
      end = (message, status) => reject(new GuestError(message, status));
    });
    const timer = setTimeout(end, deadline - Date.now(), "the time limit was hit", 124);
    const onSignal = (_, number) => end("interrupted", 128 + number);
    process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
    try {
      return await Promise.race([work(), cut]);
    } catch (error) {
      throw this.#explain(error);
    } finally {
      clearTimeout(timer);
      process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
      await this.kill();
    }
  }

  async kill() {
    this.#process.kill("SIGKILL");
    await this.ended;
  }

  /** `error` with the end of what the console and QEMU said. */
  #explain(error) {
    if (!(error instanceof GuestError)) return error;
    const said = [this.#console, this.#log]
      .filter((file) => existsSync(file))
      .map((file) => readFileSync(file, "utf8").slice(-3000));
    return new GuestError([error.message, ...said].filter((text) => text.trim() !== "").join("\n"), error.status);
  }
}
