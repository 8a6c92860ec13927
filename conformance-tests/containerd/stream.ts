/**
 * The stream behind a kubelet's Exec: a WebSocket (RFC 6455) whose messages begin with the number of a channel (protocol
 * v4.channel.k8s.io). No Node that we support has a client for it everywhere.
 */
import assert from "node:assert/strict";
import { request } from "node:http";
import type { Socket } from "node:net";

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
/** A Status of Kubernetes: how it ended. */
const ERROR = 3;
const RESIZE = 4;

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number;
}

/** A message of the client's, which must be masked: with zeros, which change nothing. */
function frame(channel: number, text: string): Buffer {
  const payload = Buffer.concat([Buffer.from([channel]), Buffer.from(text)]);
  assert.ok(payload.length < 126, "a longer message needs a longer head");
  return Buffer.concat([Buffer.from([0x82, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}

/** Takes whole frames off the front: their operation codes and payloads, and what is left. */
function split(bytes: Buffer): { readonly frames: readonly (readonly [number, Buffer])[]; readonly rest: Buffer } {
  const frames: (readonly [number, Buffer])[] = [];
  let rest = bytes;
  for (;;) {
    if (rest.length < 2) break;
    const short = rest.readUInt8(1) & 0x7f;
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (rest.length < head) break;
    const size = short < 126 ? short : short === 126 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2));
    if (rest.length < head + size) break;
    frames.push([rest.readUInt8(0) & 0x0f, rest.subarray(head, head + size)]);
    rest = rest.subarray(head + size);
  }
  return { frames, rest };
}

function exitStatus(text: string): number {
  const status = JSON.parse(text) as {
    readonly status: string;
    readonly message?: string;
    readonly details?: { readonly causes?: readonly { readonly reason: string; readonly message: string }[] };
  };
  if (status.status === "Success") return 0;
  const code = status.details?.causes?.find(({ reason }) => reason === "ExitCode")?.message;
  if (code === undefined) throw new Error(`the stream: ${status.message}`);
  return Number(code);
}

/**
 * Follows the stream at the URL of an Exec to its end. When standard output has shown `after`, `text` is typed; a terminal
 * gets a size first.
 */
export async function follow(
  url: string,
  answer: { readonly after: RegExp; readonly text: string },
  size?: { readonly columns: number; readonly rows: number },
): Promise<Output> {
  const socket = await upgrade(url);
  const channels = new Map<number, Buffer[]>();
  const text = (channel: number): string => Buffer.concat(channels.get(channel) ?? []).toString();
  if (size !== undefined) socket.write(frame(RESIZE, JSON.stringify({ Width: size.columns, Height: size.rows })));
  let rest: Buffer = Buffer.alloc(0);
  let answered = false;
  const take = (bytes: Buffer): void => {
    const found = split(Buffer.concat([rest, bytes]));
    rest = found.rest;
    // 2: a binary message.
    for (const [code, payload] of found.frames) {
      if (code !== 2 || payload.length === 0) continue;
      const channel = payload.readUInt8(0);
      channels.set(channel, [...(channels.get(channel) ?? []), payload.subarray(1)]);
    }
    if (!answered && answer.after.test(text(STDOUT))) {
      answered = true;
      socket.write(frame(STDIN, answer.text));
    }
  };
  await new Promise<void>((done, failed) => {
    socket.on("data", take).once("close", done).once("error", failed);
  });
  if (text(ERROR) === "") throw new Error("the stream ended without a word about the program");
  return { stdout: text(STDOUT), stderr: text(STDERR), status: exitStatus(text(ERROR)) };
}

function upgrade(url: string): Promise<Socket> {
  return new Promise((done, failed) => {
    const asked = request(url, {
      headers: {
        Connection: "Upgrade",
        Upgrade: "websocket",
        Origin: "http://localhost",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": Buffer.alloc(16).toString("base64"),
        "Sec-WebSocket-Protocol": "v4.channel.k8s.io",
      },
    });
    asked.once("upgrade", (_, socket: Socket, head: Buffer) => {
      // What came with the answer is the stream's beginning.
      socket.unshift(head);
      done(socket);
    });
    asked.once("response", ({ statusCode }) => failed(new Error(`the stream: HTTP status ${statusCode}`)));
    asked.once("error", failed);
    asked.end();
  });
}
