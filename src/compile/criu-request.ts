/**
 * Requests to CRIU as its RPC takes them: messages of images/rpc.proto (CRIU 3.16 and later) in protobuf's encoding. Only
 * what tsrun says is here; addon/steps/criu_host.cc reads the answers.
 */

/** Integers, truth values, text, and lists of text or of messages. Undefined: not said. */
type Value = number | bigint | boolean | string | Uint8Array | readonly (string | Uint8Array)[] | undefined;

const VARINT = 0;
const LENGTH_DELIMITED = 2;

/** One protobuf message: field numbers and values, integers from 0 on (protobuf.dev, "Encoding"). */
export function encodeMessage(fields: readonly (readonly [number: number, value: Value])[]): Uint8Array {
  const bytes: number[] = [];
  const varint = (value: bigint): void => {
    let rest = value;
    for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    bytes.push(Number(rest));
  };
  const key = (number: number, type: number): void => varint(BigInt(number * 8 + type));
  for (const [number, value] of fields) {
    if (value === undefined) continue;
    if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") {
      key(number, VARINT);
      varint(BigInt(value));
      continue;
    }
    for (const each of typeof value === "string" || value instanceof Uint8Array ? [value] : value) {
      const content = typeof each === "string" ? new TextEncoder().encode(each) : each;
      key(number, LENGTH_DELIMITED);
      varint(BigInt(content.length));
      for (const byte of content) bytes.push(byte);
    }
  }
  return Uint8Array.from(bytes);
}

/** criu_req_type. */
const requestTypes = { dump: 1, restore: 2, "pre-dump": 4 } as const;

/** criu_cg_mode, by the names of --manage-cgroups-mode. */
export const cgroupModes = { ignore: 0, soft: 3, full: 4, strict: 5 } as const;
export type CgroupMode = keyof typeof cgroupModes;

/** What dump and restore have in common: options of the command line that are CRIU's own. */
export interface CriuOptions {
  readonly tcpEstablished: boolean;
  /** Unix sockets whose other end is outside of the container. */
  readonly extUnixSk: boolean;
  /** A terminal or session that comes from outside of the container. */
  readonly shellJob: boolean;
  readonly fileLocks: boolean;
  readonly lazyPages: boolean;
  readonly autoDedup: boolean;
  readonly cgroupMode: CgroupMode;
  /** Namespaces that are made without what was in them, as CLONE_NEW* flags. */
  readonly emptyNamespaces: number;
}

/** A descriptor of CRIU's that stands for something outside of the container. */
export interface InheritedFd {
  readonly key: string;
  readonly fd: number;
}

export interface CriuRequest {
  readonly kind: keyof typeof requestTypes;
  /** Directory of the image as a descriptor of tsrun: CRIU opens it through /proc of its client. */
  readonly imagesFd: number;
  readonly options: CriuOptions;
  /** Name in the work directory. */
  readonly logFile: string;
  /** The root as CRIU finds it on the host. */
  readonly root: string;
  /** A configuration file of CRIU's, whose words win over these. */
  readonly configFile: string;
  /** `mnt[…]:…`, `net[…]:…`: what belongs to the host. */
  readonly external: readonly string[];

  // ---- dump
  readonly pid?: number | undefined;
  readonly leaveRunning?: boolean | undefined;
  /** Open files whose name is gone while they have another get one beside it for the time being: `link_remap.N`. */
  readonly linkRemap?: boolean | undefined;
  readonly tcpSkipInFlight?: boolean | undefined;
  /** Directory of an earlier image, relative to the images directory. */
  readonly parentImage?: string | undefined;
  readonly pageServer?: { readonly address: string; readonly port: number } | undefined;
  /** Directory of the cgroup by which the container is frozen. */
  readonly freezeCgroup?: string | undefined;

  // ---- restore
  readonly cgroupRoots?: readonly { readonly controller: string; readonly path: string }[] | undefined;
  readonly inherit?: readonly InheritedFd[] | undefined;
  readonly joinNamespaces?: readonly { readonly type: string; readonly path: string }[] | undefined;
  /** TYPE:NAME. */
  readonly lsmProfile?: string | undefined;
  readonly lsmMountContext?: string | undefined;
}

/** What is in the log: errors, warnings, information. */
const LOG_LEVEL = 4;

/** criu_req with its criu_opts. */
export function encodeCriuRequest(request: CriuRequest): Uint8Array {
  const { kind, options, pageServer } = request;
  const restore = kind === "restore";
  const opts = encodeMessage([
    [1, request.imagesFd], // images_dir_fd
    [2, request.pid], // pid
    [3, request.leaveRunning], // leave_running
    [4, options.extUnixSk], // ext_unix_sk
    [5, options.tcpEstablished], // tcp_established
    [6, restore ? true : undefined], // evasive_devices
    [7, options.shellJob], // shell_job
    [8, options.fileLocks], // file_locks
    [9, LOG_LEVEL], // log_level
    [10, request.logFile], // log_file
    [
      11, // ps: criu_page_server_info
      pageServer &&
        encodeMessage([
          [1, pageServer.address],
          [2, pageServer.port],
        ]),
    ],
    [12, true], // notify_scripts
    [13, request.root], // root
    [14, request.parentImage], // parent_img
    [15, request.parentImage === undefined ? undefined : true], // track_mem
    [16, options.autoDedup], // auto_dedup
    [18, request.linkRemap], // link_remap
    [24, options.cgroupMode !== "ignore"], // manage_cgroups
    [
      25, // cg_root: cgroup_root
      (request.cgroupRoots ?? []).map(({ controller, path }) =>
        encodeMessage([
          [1, controller],
          [2, path],
        ]),
      ),
    ],
    [26, restore ? true : undefined], // rst_sibling
    [
      27, // inherit_fd
      (request.inherit ?? []).map(({ key, fd }) =>
        encodeMessage([
          [1, key],
          [2, fd],
        ]),
      ),
    ],
    [34, cgroupModes[options.cgroupMode]], // manage_cgroups_mode
    [37, request.external], // external
    [38, options.emptyNamespaces], // empty_ns
    [
      39, // join_ns: join_namespace
      (request.joinNamespaces ?? []).map(({ type, path }) =>
        encodeMessage([
          [1, type],
          [2, path],
        ]),
      ),
    ],
    [44, request.freezeCgroup], // freeze_cgroup
    [46, request.tcpSkipInFlight], // tcp_skip_in_flight
    [48, options.lazyPages], // lazy_pages
    [50, true], // orphan_pts_master
    [51, request.configFile], // config_file
    [53, request.lsmProfile], // lsm_profile
    [63, request.lsmMountContext], // lsm_mount_context
  ]);
  return encodeMessage([
    [1, requestTypes[kind]], // type
    [2, opts], // opts
  ]);
}
