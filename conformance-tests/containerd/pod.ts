/** A pod as a kubelet makes it, through the container runtime interface. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { IMAGE } from "../busybox-image.ts";
import { CONTAINER, Cri, decode, type Message, NODE, states } from "./cri.ts";
import type { Containerd } from "./engine.ts";
import { follow, type Output } from "./stream.ts";

type Tail<List extends readonly unknown[]> = List extends readonly [unknown, ...infer Rest] ? Rest : never;

export interface ContainerStatus {
  readonly state: (typeof states)[number] | undefined;
  readonly exitCode: number;
  readonly reason: string;
}

export class Pod {
  readonly cri: Cri;
  /** The id of the sandbox. */
  readonly id: string;
  /** The path of its cgroup. */
  readonly cgroup: string;
  readonly #config: Message;
  readonly #namespaces: Message;
  readonly #logs: string;

  constructor(cri: Cri, id: string, cgroup: string, config: Message, namespaces: Message, logs: string) {
    this.cri = cri;
    this.#namespaces = namespaces;
    this.id = id;
    this.cgroup = cgroup;
    this.#config = config;
    this.#logs = logs;
  }

  /** Makes a container that runs a shell script, and gives its id. */
  create(
    name: string,
    script: string,
    security: { readonly privileged?: boolean; readonly readonlyRoot?: boolean } = {},
    resources: Message = {},
  ): Promise<string> {
    const config = {
      metadata: { name },
      image: { image: IMAGE },
      command: ["sh", "-c", script],
      logPath: `${name}.log`,
      linux: {
        resources,
        securityContext: { ...security, namespaceOptions: { ...this.#namespaces, pid: CONTAINER } },
      },
    };
    return this.cri.text("CreateContainer", { podSandboxId: this.id, config, sandboxConfig: this.#config }, 1);
  }

  /** Makes a container of the name and starts it. */
  async run(...container: Parameters<Pod["create"]>): Promise<string> {
    const id = await this.create(...container);
    await this.start(id);
    return id;
  }

  async start(containerId: string): Promise<void> {
    await this.cri.call("StartContainer", { containerId });
  }

  /** Runs a script in a container to its end. */
  async exec(containerId: string, script: string): Promise<Output> {
    const executed = await this.cri.call("ExecSync", { containerId, cmd: ["sh", "-c", script] });
    const [stdout, stderr] = [1, 2].map((field) => String(executed.get(field) ?? ""));
    return { stdout: stdout ?? "", stderr: stderr ?? "", status: Number(executed.get(3) ?? 0) };
  }

  /** The same with a stream, as `kubectl exec` does: `follow` says what is typed. */
  async stream(
    containerId: string,
    script: string,
    streams: { readonly stderr?: true; readonly tty?: true },
    ...typed: Tail<Parameters<typeof follow>>
  ): Promise<Output> {
    const cmd = ["sh", "-c", script];
    const url = await this.cri.text("Exec", { containerId, cmd, stdin: true, stdout: true, ...streams }, 1);
    return follow(url, ...typed);
  }

  /** What a container has used of processors, in nanoseconds, and uses of memory, in bytes. */
  async usage(containerId: string): Promise<{ readonly cpuNanoseconds: number; readonly memoryBytes: number }> {
    const stats = decode((await this.cri.call("ContainerStats", { containerId })).get(1) as Buffer);
    const value = (field: number): number => {
      const wrapped = decode(stats.get(field) as Buffer).get(2);
      return wrapped === undefined ? 0 : Number(decode(wrapped as Buffer).get(1) ?? 0);
    };
    return { cpuNanoseconds: value(2), memoryBytes: value(3) };
  }

  async status(containerId: string): Promise<ContainerStatus> {
    const status = decode((await this.cri.call("ContainerStatus", { containerId })).get(1) as Buffer);
    // The first of an enumeration, a 0 and an empty text are left out.
    return {
      state: states[Number(status.get(3) ?? 0)],
      exitCode: Number(status.get(7) ?? 0),
      reason: String(status.get(10) ?? ""),
    };
  }

  log(name: string): string {
    return readFileSync(join(this.#logs, `${name}.log`), "utf8");
  }
}

/** Namespaces of a pod that may have privileged containers: it has the host's network. */
const USUAL: Message = { network: NODE };

/** Runs a pod, whatever becomes of it. */
export async function inPod(
  engine: Containerd,
  use: (pod: Pod) => Promise<void>,
  namespaces: Message = USUAL,
): Promise<void> {
  const uid = engine.id();
  const logs = join(engine.work, `logs-${uid}`);
  mkdirSync(logs);
  const cgroup = engine.makePodCgroup(uid);
  const cri = new Cri(engine.socket);
  const config = {
    metadata: { name: "pod", uid, namespace: "default" },
    logDirectory: logs,
    linux: {
      cgroupParent: cgroup,
      // Privileged, so that its containers may be.
      securityContext: { namespaceOptions: namespaces, privileged: namespaces === USUAL },
    },
  };
  try {
    const id = await cri.text("RunPodSandbox", { config, runtimeHandler: "tsrun" }, 1);
    try {
      await use(new Pod(cri, id, cgroup, config, namespaces, logs));
    } finally {
      await cri.call("StopPodSandbox", { podSandboxId: id });
      await cri.call("RemovePodSandbox", { podSandboxId: id });
    }
  } finally {
    await cri.close();
    engine.removePodCgroup(cgroup);
  }
}
