/**
 * Every difference to runc and crun that is wanted, with its reason: the versions of Debian 12 (runc 1.1.5, crun 1.8.1).
 * What is not here fails, and so does an entry that nothing needs any more (compare.test.ts).
 */
import type { Peer } from "./bundle.ts";

export interface Expected {
  readonly peers: readonly Peer[];
  /** Of the facts' keys. */
  readonly key: RegExp;
  /** Only in these. */
  readonly bundles?: readonly string[];
  /** Only when the values are such. */
  readonly values?: (tsrun: string | undefined, peer: string | undefined) => boolean;
  /** Shows only on some hosts, so that its absence says nothing. */
  readonly sometimes?: true;
  readonly reason: string;
}

/** Both sides match. */
const are =
  (tsrun: RegExp | undefined, peer: RegExp | undefined) =>
  (ours: string | undefined, theirs: string | undefined): boolean =>
    (tsrun === undefined ? ours === undefined : ours !== undefined && tsrun.test(ours)) &&
    (peer === undefined ? theirs === undefined : theirs !== undefined && peer.test(theirs));

/** The devices of a v1 cgroup but for these. */
const devicesBut =
  (...more: readonly string[]) =>
  (ours: string | undefined, theirs: string | undefined): boolean =>
    (theirs ?? "")
      .split("\n")
      .filter((line) => !more.includes(line))
      .join("\n") === ours;

export const expected: readonly Expected[] = [
  // ---- state, hooks
  {
    peers: ["runc", "crun"],
    key: /^(state \w+|hook \w+)\/(state\/)?ociVersion$/,
    reason: "each says the version that it implements",
  },
  {
    peers: ["runc"],
    key: /^state \w+\/owner$/,
    values: are(/^root$/, /^$/),
    reason: "Debian's runc is static and does not look up the name",
  },
  {
    peers: ["crun"],
    key: /^state \w+\/(rootfs|systemd-scope)$/,
    reason: "crun repeats root.path as it is written, and has a property of its own for systemd",
  },
  {
    peers: ["runc"],
    key: /^hook (prestart|createRuntime|createContainer)\/status$/,
    values: are(/^created$/, /^creating$/),
    reason: "config.md has the hooks of create called when the environment is there; crun says `created` too",
  },
  {
    peers: ["runc"],
    key: /^hook poststart\/status$/,
    values: are(/^running$/, /^created$/),
    reason: "the program has been executed when poststart hooks are called (runtime.md, Lifecycle)",
  },
  {
    peers: ["runc", "crun"],
    key: /^hooks in order$/,
    reason: "they open the gate and call poststart hooks at once; tsrun waits until the program has been executed",
    sometimes: true,
  },
  {
    peers: ["runc"],
    key: /^hook createContainer\/directory$/,
    values: are(/\/bundle$/, /\/rootfs$/),
    reason: "runc has entered the root's folder by then; the bundle is where the other hooks run, as with crun",
  },
  {
    peers: ["runc"],
    key: /^hook poststop\/directory$/,
    values: are(/\/bundle$/, /\/run$/),
    reason: "runc enters the bundle in create only; every hook of one container runs in the same directory",
  },
  {
    peers: ["crun"],
    key: /^hook (createContainer|startContainer|poststop|\w+)\/(pid|root|bundle|status)$/,
    reason: "crun has no pid for hooks inside the container, calls its state `starting`, and adds the root",
  },
  {
    peers: ["crun"],
    key: /^(init|exec)\/status\/SigBlk$/,
    bundles: ["hooks"],
    reason: "crun blocks SIGCHLD for its hooks and leaves it so",
  },

  // ---- masks, /sys, cgroup mounts
  {
    peers: ["runc", "crun"],
    key: /^(init|exec)\/mount\/.*/,
    values: are(
      /^tmpfs from tmpfs, root \/; nodev,noexec,nosuid,relatime,ro; private; .*mode=755,nr_inodes=1/,
      /^tmpfs from tmpfs, root \/; relatime,ro; private; /,
    ),
    reason: "a masked folder needs neither programs nor devices nor room",
  },
  {
    peers: ["crun"],
    key: /^(init|exec)\/mount\/.*/,
    values: are(/, root \/null; .*(tmpfs|devtmpfs)?/, /^devtmpfs from devtmpfs, root \/null; relatime,ro/),
    reason: "files are masked with the container's /dev/null, checked to be it; crun takes the host's",
  },
  {
    peers: ["crun"],
    key: /^(init|exec)\/mount\/\/secret\/(file|folder) #2$/,
    reason: "crun masks before it makes read-only, and a recursive bind repeats its masks",
  },
  {
    peers: ["runc"],
    key: /^(init|exec)\/mount\/\/sys$/,
    values: are(/^sysfs .*,ro; private; rw$/, /^sysfs .*,ro; private; ro$/),
    reason: "`ro` is said of the mount; sysfs has one super block for all mounts of a network namespace",
  },
  {
    peers: ["runc"],
    key: /^(init|exec)\/access\/sys$/,
    values: are(/^r EACCES$/, /^r EROFS$/),
    reason: "follows: both refuse to write, for another reason first",
  },
  {
    peers: ["runc"],
    key: /^(init|exec)\/mount\/\/sys\/fs\/cgroup$/,
    values: are(/^tmpfs from tmpfs, .*,ro; /, /^tmpfs from tmpfs, .*,rw; /),
    reason: "a read-only cgroup mount is read-only as a whole; runc 1.1 leaves the tmpfs writable",
  },
  {
    peers: ["crun"],
    key: /^(init|exec)\/mount\/\/sys\/fs\/cgroup$/,
    values: are(/^tmpfs from tmpfs, /, /^tmpfs from cgroup, .*,rw; /),
    reason: "crun's tmpfs for v1 hierarchies is always writable, and 1 MiB",
  },
  {
    peers: ["runc", "crun"],
    key: /^(init|exec)\/access\/sys\/fs\/cgroup$/,
    values: are(/^r (EROFS|EACCES|w)$/, /^r (EACCES|EROFS|w)$/),
    reason: "follows from the tmpfs",
  },
  {
    peers: ["runc"],
    key: /^(init|exec)\/mount\/\/sys\/fs\/cgroup\/systemd$/,
    values: are(/^cgroup from cgroup, /, /^cgroup from systemd, /),
    reason: "the source of a cgroup mount is a word that means nothing",
  },
  {
    peers: ["crun"],
    key: /^(init|exec)\/mount\/\/sys\/fs\/cgroup\/\w+$/,
    values: are(/^cgroup from cgroup, /, /^cgroup from \/sys\/fs\/cgroup\//),
    reason: "the source of a cgroup mount is a word that means nothing",
  },
  {
    peers: ["crun"],
    key: /^(init|exec)\/mount\/\/sys\/fs\/cgroup/,
    bundles: ["rootless"],
    values: (_, peer) => peer === undefined,
    reason: "crun detaches what is below a bound /sys; runc and tsrun bind what was asked for",
  },
  {
    peers: ["crun"],
    key: /^(init|exec)\/mount\/\/proc\/\w+$/,
    bundles: ["podman", "docker"],
    values: are(/nodev,noexec,nosuid,relatime,ro;/, /; relatime,ro;/),
    reason: "a read-only path keeps the attributes of the mount that it lies in; crun drops them",
  },

  // ---- devices
  {
    peers: ["runc"],
    key: /^(init|exec)\/\/dev\/core$/,
    values: are(/\/proc\/kcore$/, undefined),
    sometimes: true,
    reason: "runc looks for /proc/kcore on the host; the link is the same in every container here, as with crun",
  },
  {
    peers: ["runc"],
    key: /^cgroup devices\/devices\.list$/,
    values: devicesBut("c 10:200 rwm"),
    reason: "runc 1.1 allows /dev/net/tun in every container; 1.2 no longer does",
  },
  {
    peers: ["runc"],
    key: /^init\/rule\/c 10:200$/,
    reason: "runc 1.1 allows /dev/net/tun in every container; 1.2 no longer does",
  },
  {
    peers: ["crun"],
    key: /^cgroup devices\/devices\.list$/,
    values: devicesBut("c 5:1 rwm"),
    reason: "crun allows the host's console 5:1; a container's /dev/console is a pseudo-terminal",
  },
  { peers: ["crun"], key: /^init\/rule\/c 5:1$/, reason: "crun allows the host's console 5:1" },
  {
    peers: ["runc", "crun"],
    key: /^init\/rule\/c 10:229$/,
    bundles: ["device-rules-exceptions", "device-rules-exceptions-v2"],
    values: are(/^mknod yes, read no, write no$/, /^mknod no/),
    reason: "every container may make nodes, whatever it may open: the default rules come last on v1 and v2 alike",
  },
  {
    peers: ["runc", "crun"],
    key: /^(init\/rule\/.*|cgroup devices\/devices\.list)$/,
    bundles: ["device-rules-both-types", "device-rules-both-types-v2"],
    reason: "to them type `a` means every device whatever its number; here it means both types of that number",
  },
  {
    peers: ["crun"],
    key: /^(init\/rule\/.*|cgroup devices\/devices\.list)$/,
    bundles: ["device-rules-missing", "device-rules-missing-v2", "rootless"],
    reason: "without rules crun allows every device (GHSA-g54h-m393-cpwq's class); runc and tsrun deny by default",
  },
  {
    peers: ["crun"],
    key: /^(init|exec)\/mount\/\/dev\/(null|zero|full|random|urandom|tty)$/,
    values: are(/^devtmpfs .*; relatime,rw;/, /^devtmpfs .*; noexec,nosuid,relatime,rw;/),
    reason: "a bound device node is neither program nor set-uid; runc leaves the flags out too",
  },
  {
    peers: ["crun"],
    key: /^(init|exec)\/\/dev\/null$/,
    values: are(/^c 0666 0:0 1:3$/, /^c 0666 \d+:\d+ 1:3$/),
    reason: "crun gives the container's user whatever its standard streams are, /dev/null too",
  },
  {
    peers: ["crun"],
    key: /^(init|exec)\/mount\/\/dev\/console$/,
    reason: "a bound terminal keeps the attributes of the devpts that it lies in; crun drops them",
  },

  // ---- standard streams
  {
    peers: ["runc"],
    key: /^exec\/fd\/[012]$/,
    values: are(/(run\/(null|exec|exec\.err)|\/dev\/null)$/, / pipe$/),
    reason:
      "runc exec copies between pipes; here, as with crun, the program has the caller's own files, but for the null device, which is the container's own",
  },
  {
    peers: ["crun"],
    key: /^((init|exec)\/fd\/[012]|left\/owner of (null|out|out\.err))$/,
    reason:
      "crun gives standard streams to the container's user and group, files of others and /dev/null among them; here, as with runc, only the user changes, only of files that are the caller's, and exec does the same",
  },

  // ---- exec
  {
    peers: ["crun"],
    key: /^exec\/(process\/(uid|gid|groups|umask|cwd|environment)|caps\/(effective|permitted|inheritable|ambient)|env\/HOME|access\/.*|status\/Umask|prctl\/dumpable)$/,
    reason: "crun 1.8 executes as root, in /, unless told otherwise; here, as with runc, as config.json's process",
  },
  {
    peers: ["crun"],
    key: /^exec\/(process\/(session|group)|keyring\/session|rlimit\/.*|prctl\/no_new_privs|status\/NoNewPrivs|\/proc\/self\/oom_score_adj)$/,
    reason:
      "crun 1.8 gives an executed program none of: session, keyring, limits, no_new_privs, oom score of config.json",
  },
  {
    peers: ["runc"],
    key: /^exec\/(process\/umask|status\/Umask)$/,
    bundles: ["user"],
    values: are(/^0077$/, /^0022$/),
    reason: "config.json's umask counts for executed programs too; runc 1.1 forgets it",
  },
  {
    peers: ["runc"],
    key: /^(init|exec)\/rlimit\/NOFILE$/,
    sometimes: true,
    bundles: ["rlimits"],
    values: are(/^100 200$/, /^200 200$/),
    reason: "Go raises the soft limit of its own process, and runc 1.1 passes that on",
  },
  {
    peers: ["runc"],
    key: /^exec\/keyring\/session$/,
    values: are(/;3f130008;/, /;3f130000;/),
    reason: "runc 1.1 makes another keyring for executed programs; here they join the container's",
  },

  // ---- process
  {
    peers: ["crun"],
    key: /^(init|exec)\/keyring\/session$/,
    values: are(/;_ses\.compared$/, /;(compared|_uid_ses\.0)$/),
    reason: "the keyring's name and its rights for a user namespace's root are runc's",
  },
  {
    peers: ["runc", "crun"],
    key: /^(init|exec)\/\/proc\/keys$/,
    sometimes: true,
    reason: "what of the host's keys is in sight follows from the session keyring",
  },
  {
    peers: ["runc"],
    key: /^(init|exec)\/(uts\/domainname|\/proc\/sys\/kernel\/domainname)$/,
    bundles: ["names"],
    reason: "runc has domainname since 1.2",
  },
  {
    peers: ["crun"],
    key: /^init\/env\/HOME$/,
    bundles: ["environment"],
    values: are(/^\/root$/, /^$/),
    reason: "an empty HOME is none, as with runc",
  },
  {
    peers: ["crun"],
    key: /^init\/(process\/environment|env\/HOME)$/,
    bundles: ["user-without-name"],
    reason: "crun sets no HOME for a user whom /etc/passwd does not have; runc and tsrun set /",
  },
  {
    peers: ["runc"],
    key: /^(init|exec)\/\/dev\/mqueue$/,
    values: are(/^d 1777 0:0$/, /^d 1777 0:\d+$/),
    reason: "the mqueue file system is mounted as the user namespace's root group too",
  },
  {
    peers: ["crun"],
    key: /^init\/mount\/\/dev\/mqueue$|^exec\/mount\/\/dev\/mqueue$/,
    bundles: ["pod-user-namespace"],
    reason: "crun binds the host's mqueue where it may not mount one",
  },

  // ---- mounts
  {
    peers: ["runc"],
    key: /^left\/root \//,
    values: are(/^file 644 /, /^file 755 /),
    reason: "a file to mount on is no program",
  },
  {
    peers: ["crun"],
    key: /^(left\/root \/|init\/root\/|exec\/root\/)/,
    values: (ours, theirs) =>
      are(/^file 644 /, /^file 700 /)(ours, theirs) ||
      are(/^directory 755 /, /^directory 1755 /)(ours, theirs) ||
      are(/^d 0755 /, /^d 1755 /)(ours, theirs),
    reason: "crun makes folders to mount on with the sticky bit, and files without rights for others",
  },
  {
    peers: ["runc", "crun"],
    key: /^init\/mount\/\/$/,
    bundles: ["root-slave", "root-shared", "binds-propagation"],
    reason:
      "the root has the propagation that rootfsPropagation names: slave of what it lies in; they leave it private, or cut off",
  },
  {
    peers: ["runc"],
    key: /^exec\/mount\/\/$/,
    bundles: ["binds-propagation"],
    reason: "as for the container's own program",
  },
  {
    peers: ["runc", "crun"],
    key: /^outcome\/(create|start)$/,
    bundles: ["root-unbindable"],
    reason: "an unbindable host tree cannot be bound from; tsrun makes only the root unbindable, in the end",
  },
  {
    peers: ["crun"],
    key: /^(init|exec)\/mount\/\/bind\/again$/,
    reason: "of contradicting options the last one counts (mount(8)); crun adds them up",
  },
  {
    peers: ["crun"],
    key: /^(init|exec)\/mount\/\/fs\/rev$/,
    reason: "of contradicting options the last one counts (mount(8)); crun adds them up",
  },
  {
    peers: ["crun"],
    key: /^(init|exec)\/(mount\/\/srv|root\/srv)$/,
    bundles: ["tmpfs-copies"],
    reason: "tmpcopyup keeps the mode of the folder that it covers",
  },
  // ---- cgroups
  {
    peers: ["runc"],
    key: /^cgroup memory\/memory\.kmem\.tcp\.limit_in_bytes$/,
    reason: "runc no longer writes kernelTCP; config-linux.md has it, and the kernel takes it",
  },
  {
    peers: ["runc"],
    key: /^cgroup v2\/\(owner\)$/,
    bundles: ["unified-delegated"],
    reason: "config-linux.md, Cgroup ownership; runc 1.1 wants a user namespace for it",
  },
  {
    peers: ["crun"],
    key: /^outcome\/(create|start)$/,
    bundles: ["pids-unlimited"],
    reason: "crun 1.8 writes -1 to pids.max, which the kernel refuses; the spec's -1 is no limit",
  },
  {
    peers: ["crun"],
    key: /^left\/cgroup /,
    bundles: ["refused-cpuset", "refused-memory-swap"],
    values: are(undefined, /^there$/),
    reason: "crun leaves cgroups behind when create fails",
  },

  // ---- seccomp
  {
    peers: ["crun"],
    key: /^init\/syscall\/\d+$/,
    values: are(/^ENOSYS$/, /^EPERM$/),
    reason: "system calls newer than the profile are answered ENOSYS, as with runc (decision 5)",
  },

  // ---- what only tsrun and runc refuse
  {
    peers: ["runc", "crun"],
    key: /^outcome\/(create|start)$/,
    bundles: ["refused-mount-proc"],
    reason: "nothing but a few files may be mounted inside /proc (CVE-2019-16884, CVE-2023-27561); runc since 1.2",
  },
  {
    peers: ["crun"],
    key: /^outcome\/(create|start)$/,
    bundles: ["refused-cwd", "refused-device-type", "refused-namespace-twice", "refused-propagation"],
    reason: "the spec has an error for it; crun passes over it",
  },
];
