/**
 * What of the Kubernetes container runtime interface (CRI v1, gRPC over HTTP/2) the scenarios call. Debian packages no client;
 * the messages are few, so they are described here by field number.
 */
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { createConnection } from "node:net";

/** A protobuf field: its number, and a nested message's fields. Lists hold one type. */
type Shape = { readonly [name: string]: number | readonly [number, Shape] };
type Value = string | number | boolean | readonly string[] | readonly Message[] | Message;
export interface Message {
  readonly [name: string]: Value;
}

const resources: Shape = {
  ...{ cpuPeriod: 1, cpuQuota: 2, cpuShares: 3, memoryLimit: 4, oomScoreAdj: 5, cpusetCpus: 6 },
  // A map is a list of its entries.
  unified: [9, { key: 1, value: 2 }],
  hugepageLimits: [8, { pageSize: 1, limit: 2 }],
};
const ids: Shape = { hostId: 1, containerId: 2, length: 3 };
const namespaces: Shape = { network: 1, pid: 2, ipc: 3, userns: [5, { mode: 1, uids: [2, ids], gids: [3, ids] }] };
const podConfig: Shape = {
  metadata: [1, { name: 1, uid: 2, namespace: 3 }],
  hostname: 2,
  logDirectory: 3,
  linux: [8, { cgroupParent: 1, securityContext: [2, { namespaceOptions: [1, namespaces], privileged: 6 }] }],
};
const containerConfig: Shape = {
  metadata: [1, { name: 1 }],
  image: [2, { image: 1 }],
  command: 3,
  args: 4,
  workingDir: 5,
  logPath: 11,
  linux: [
    15,
    {
      resources: [1, resources],
      securityContext: [2, { privileged: 2, namespaceOptions: [3, namespaces], readonlyRoot: 7 }],
    },
  ],
};
const requests = {
  Version: { version: 1 },
  RunPodSandbox: { config: [1, podConfig], runtimeHandler: 2 },
  StopPodSandbox: { podSandboxId: 1 },
  RemovePodSandbox: { podSandboxId: 1 },
  CreateContainer: { podSandboxId: 1, config: [2, containerConfig], sandboxConfig: [3, podConfig] },
  StartContainer: { containerId: 1 },
  StopContainer: { containerId: 1, timeout: 2 },
  RemoveContainer: { containerId: 1 },
  ContainerStatus: { containerId: 1 },
  UpdateContainerResources: { containerId: 1, linux: [2, resources] },
  ContainerStats: { containerId: 1 },
  Exec: { containerId: 1, cmd: 2, tty: 3, stdin: 4, stdout: 5, stderr: 6 },
  ExecSync: { containerId: 1, cmd: 2, timeout: 3 },
} as const satisfies Readonly<Record<string, Shape>>;

/** NamespaceMode: the pod's namespace, one of the container's own, and the host's. */
export const POD = 0;
export const CONTAINER = 1;
export const NODE = 2;
/** The states of a container. */
export const states = ["created", "running", "exited", "unknown"] as const;

function varint(value: number): Buffer {
  // Negative numbers are 64-bit two's complement.
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Buffer.from(bytes);
}

function encode(message: Message, shape: Shape): Buffer {
  const parts: Buffer[] = [];
  const bytes = (field: number, content: Buffer): void => {
    parts.push(varint((field << 3) | 2), varint(content.length), content);
  };
  for (const [name, value] of Object.entries(message)) {
    const described = shape[name];
    if (described === undefined) throw new Error(`no field ${name}`);
    if (typeof described !== "number")
      for (const each of Array.isArray(value) ? value : [value])
        bytes(described[0], encode(each as Message, described[1]));
    else if (typeof value === "string") bytes(described, Buffer.from(value));
    else if (Array.isArray(value)) for (const text of value as readonly string[]) bytes(described, Buffer.from(text));
    else parts.push(varint(described << 3), varint(Number(value)));
  }
  return Buffer.concat(parts);
}

/** The last value of each field: what the scenarios read is never a list. */
export function decode(message: Buffer): ReadonlyMap<number, number | Buffer> {
  const fields = new Map<number, number | Buffer>();
  let at = 0;
  const next = (): number => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(BigInt.asIntN(64, value));
    }
  };
  while (at < message.length) {
    const key = next();
    const type = key & 7;
    if (type === 0) fields.set(key >> 3, next());
    else if (type === 2) {
      const size = next();
      fields.set(key >> 3, message.subarray(at, at + size));
      at += size;
    } else if (type === 1 || type === 5) at += type === 1 ? 8 : 4;
    else throw new Error(`wire type ${type}`);
  }
  return fields;
}

export class Cri {
  readonly #socket: string;
  #session: ClientHttp2Session | undefined;

  constructor(socket: string) {
    this.#socket = socket;
  }

  /** A connection ends with the daemon: the next call makes another. */
  #connected(): ClientHttp2Session {
    if (this.#session === undefined || this.#session.closed || this.#session.destroyed) {
      this.#session = connect("http://localhost", { createConnection: () => createConnection(this.#socket) });
      // Each call reports it, too.
      this.#session.on("error", () => {});
    }
    return this.#session;
  }

  /** Calls a method of RuntimeService; throws with the server's message. */
  call(method: keyof typeof requests, message: Message): Promise<ReadonlyMap<number, number | Buffer>> {
    const body = encode(message, requests[method]);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(body.length, 1);
    return new Promise((done, failed) => {
      const stream = this.#connected().request({
        [constants.HTTP2_HEADER_METHOD]: "POST",
        [constants.HTTP2_HEADER_PATH]: `/runtime.v1.RuntimeService/${method}`,
        [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
        te: "trailers",
      });
      const chunks: Buffer[] = [];
      let grpcStatus: unknown;
      let grpcMessage: unknown;
      const note = (headers: { readonly [name: string]: unknown }): void => {
        grpcStatus = headers["grpc-status"] ?? grpcStatus;
        grpcMessage = headers["grpc-message"] ?? grpcMessage;
      };
      // A failure may come with the headers already.
      stream.on("response", note).on("trailers", note);
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("error", failed);
      stream.on("close", () => {
        if (String(grpcStatus) === "0") done(decode(Buffer.concat(chunks).subarray(5)));
        else failed(new Error(`${method}: ${decodeURIComponent(String(grpcMessage))}`));
      });
      stream.end(Buffer.concat([head, body]));
    });
  }

  async text(method: keyof typeof requests, message: Message, field: number): Promise<string> {
    return String((await this.call(method, message)).get(field) ?? "");
  }

  async close(): Promise<void> {
    const session = this.#session;
    if (session !== undefined && !session.destroyed) await new Promise<void>((done) => session.close(done));
  }
}
