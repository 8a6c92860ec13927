/** The root, mounts and their options, propagation, masked and read-only paths. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import type { Bundle, Config, Place } from "../bundle.ts";
import { needsKernel, since } from "../bundle.ts";

const call = (program: string, ...args: string[]): void => {
  const { status, stderr } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program}: ${stderr}`);
};

/** A volume with a file, a directory, and another mount in it. */
const volume = ({ work }: Place): void => {
  mkdirSync(`${work}/volume/inner`, { recursive: true });
  mkdirSync(`${work}/volume/folder`);
  writeFileSync(`${work}/volume/file`, "text");
  call("mount", "-t", "tmpfs", "-o", "size=1m", "inner", `${work}/volume/inner`);
};

const bind = (config: Config, source: string, destination: string, ...options: string[]): void => {
  config.mounts.push({ destination, type: "bind", source, options });
};

export const mountBundles: readonly Bundle[] = [
  {
    name: "writable-root",
    about: "a root that may be written, and targets that are not there",
    prepare: volume,
    edit: (config, { work }) => {
      config.root.readonly = false;
      bind(config, `${work}/volume`, "/made/for/volume", "bind");
      bind(config, `${work}/volume/file`, "/made/for/a.file", "bind", "ro");
      config.mounts.push({
        destination: "/made/tmp",
        type: "tmpfs",
        source: "tmpfs",
        options: ["size=1m", "mode=1770", "uid=5", "gid=6"],
      });
    },
    shows: { "init/mount//made/for/a.file": /; relatime,ro; / },
  },
  {
    name: "binds",
    about: "attributes of binds, alone and recursive",
    prepare: volume,
    edit: (config, { work }) => {
      const source = `${work}/volume`;
      bind(config, source, "/bind/plain", "bind");
      bind(config, source, "/bind/tree", "rbind");
      bind(config, source, "/bind/readonly", "rbind", "ro");
      bind(config, source, "/bind/safe", "bind", "nosuid", "nodev", "noexec");
      bind(config, source, "/bind/again", "bind", "ro", "rw", "noexec", "exec");
      bind(config, source, "/bind/times", "bind", "noatime", "nodiratime");
      bind(config, source, "/bind/strict", "bind", "strictatime");
      bind(config, source, "/bind/relative", "bind", "relatime");
      config.mounts.push({ destination: "/bind/none", type: "none", source, options: ["rbind", "ro"] });
    },
    probe: ["/bind/tree/file"],
    shows: { "init/mount//bind/tree/inner": /^tmpfs from inner/, "init/mount//bind/safe": /nodev,noexec,nosuid/ },
  },
  {
    name: "bind-by-type",
    about: "a bind that only its type says",
    without: { runc: "runc wants the option too", crun: "crun wants the option too" },
    prepare: volume,
    edit: (config, { work }) => {
      config.mounts.push({ destination: "/data", type: "bind", source: `${work}/volume` });
    },
    shows: { "init/mount//data": /./ },
  },
  {
    name: "binds-recursive-times",
    about: "access times of whole trees",
    without: {
      runc: since("1.2", "only rro of the recursive attributes"),
      crun: since("1.9", "mount_setattr with two settings at once"),
    },
    needs: needsKernel(5, 12),
    prepare: volume,
    edit: (config, { work }) => {
      bind(config, `${work}/volume`, "/bind/none", "rbind", "rnoatime", "rnodiratime");
      bind(config, `${work}/volume`, "/bind/strict", "rbind", "rstrictatime");
    },
    shows: { "init/mount//bind/none/inner": /noatime,nodiratime/ },
  },
  {
    name: "binds-recursive",
    about: "attributes for whole trees",
    without: { runc: since("1.2", "only rro of the recursive attributes") },
    needs: needsKernel(5, 12),
    prepare: volume,
    edit: (config, { work }) => {
      bind(config, `${work}/volume`, "/bind/readonly", "rbind", "rro");
      bind(config, `${work}/volume`, "/bind/safe", "rbind", "rnosuid", "rnodev", "rnoexec");
    },
    shows: { "init/mount//bind/readonly/inner": /; relatime,ro; / },
  },
  {
    name: "binds-propagation",
    about: "propagation of binds",
    prepare: (place) => {
      volume(place);
      call("mount", "--bind", `${place.work}/volume`, `${place.work}/volume`);
      call("mount", "--make-shared", `${place.work}/volume`);
    },
    edit: (config, { work }) => {
      config.linux.rootfsPropagation = "shared";
      for (const each of ["private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable"])
        bind(config, `${work}/volume`, `/bind/${each}`, "rbind", each);
    },
    shows: { "init/mount//bind/rslave": /; master; /, "init/mount//bind/private": /; private; / },
  },
  ...(["private", "slave", "shared", "unbindable"] as const).map(
    (propagation): Bundle => ({
      name: `root-${propagation}`,
      about: `a root that is ${propagation}, below a shared mount of the host`,
      prepare: (place) => {
        volume(place);
        call("mount", "--make-shared", place.rootfs);
      },
      edit: (config, { work }) => {
        config.linux.rootfsPropagation = propagation;
        bind(config, `${work}/volume`, "/data", "rbind");
      },
      exec: "none",
    }),
  ),
  {
    name: "filesystems",
    about: "file systems with options of their own, and flags",
    edit: (config) => {
      const add = (destination: string, type: string, ...options: string[]) =>
        config.mounts.push({ destination, type, source: type, options });
      add("/fs/small", "tmpfs", "size=64k", "mode=0700", "nr_inodes=10", "noexec", "ro");
      add("/fs/owned", "tmpfs", "uid=1000", "gid=1000", "nosuid", "nodev", "noatime");
      add("/fs/lazy", "tmpfs", "lazytime", "nodiratime");
      add("/fs/sync", "tmpfs", "sync", "dirsync");
      add(
        "/fs/rev",
        "tmpfs",
        "ro",
        "rw",
        "nosuid",
        "suid",
        "nodev",
        "dev",
        "noexec",
        "exec",
        "async",
        "atime",
        "diratime",
      );
      add("/fs/plain", "ramfs");
    },
    shows: { "init/mount//fs/small": /nr_inodes=10/, "init/mount//fs/owned": /gid=1000.*uid=1000/ },
  },
  {
    name: "filesystem-flags",
    about: "flags that take others back, and those that say nothing",
    without: { crun: since("1.9", "some of them given to the file system") },
    edit: (config) => {
      const add = (destination: string, ...options: string[]) =>
        config.mounts.push({ destination, type: "tmpfs", source: "tmpfs", options });
      add("/fs/times", "norelatime", "nodiratime");
      add("/fs/strict", "strictatime", "nostrictatime");
      add("/fs/lazy", "lazytime", "nolazytime");
      add("/fs/silent", "silent", "nomand", "noiversion");
      add("/fs/loud", "loud", "size=64k");
      config.mounts.push({ destination: "/fs/unbindable", type: "tmpfs", source: "tmpfs", options: ["runbindable"] });
    },
    shows: { "init/mount//fs/unbindable": /; unbindable; /, "init/mount//fs/loud": /size=64k/ },
  },
  {
    name: "remount",
    about: "a mount that is changed by a later one",
    edit: (config) => {
      config.mounts.push({ destination: "/fs", type: "tmpfs", source: "tmpfs", options: ["size=64k", "nosuid"] });
      config.mounts.push({
        destination: "/fs",
        type: "tmpfs",
        source: "tmpfs",
        options: ["remount", "ro", "nosuid", "noexec"],
      });
    },
    shows: { "init/mount//fs": /noexec,nosuid,relatime,ro/ },
  },
  {
    name: "links-not-followed",
    about: "a mount in which no link is followed",
    without: { runc: since("1.2"), crun: since("1.9") },
    prepare: volume,
    edit: (config, { work }) => {
      bind(config, `${work}/volume`, "/bind/plain", "bind", "nosymfollow");
      bind(config, `${work}/volume`, "/bind/tree", "rbind", "rnosymfollow");
      bind(config, `${work}/volume`, "/bind/followed", "rbind", "nosymfollow", "symfollow", "rsymfollow");
    },
    shows: {
      "init/mount//bind/plain": /nosymfollow/,
      "init/mount//bind/tree/inner": /nosymfollow/,
      "init/mount//bind/followed": /; relatime,rw; /,
    },
  },
  {
    name: "binds-recursive-reversed",
    about: "attributes that are taken from a whole tree",
    without: {
      runc: since("1.2", "only rro of the recursive attributes"),
      crun: since("1.9", "no recursive attribute that takes away"),
    },
    needs: needsKernel(5, 12),
    prepare: (place) => {
      volume(place);
      call("mount", "-o", "remount,ro,nosuid,nodev,noexec,noatime,nodiratime", `${place.work}/volume/inner`);
    },
    edit: (config, { work }) => {
      const all = ["rrw", "rsuid", "rdev", "rexec", "ratime", "rdiratime", "rnorelatime", "rnostrictatime"];
      bind(config, `${work}/volume`, "/bind/all", "rbind", ...all);
      bind(config, `${work}/volume`, "/bind/relative", "rbind", "rrelatime");
    },
    shows: { "init/mount//bind/all/inner": /; relatime,rw; /, "init/mount//bind/relative/inner": /,relatime,ro/ },
  },
  {
    name: "filesystem-defaults",
    about: "the option that means nothing, and another /proc",
    without: { runc: since("1.2", "`defaults` given to the file system"), crun: "crun allows proc at /proc only" },
    edit: (config) => {
      config.mounts.push({ destination: "/fs/defaults", type: "tmpfs", source: "tmpfs", options: ["defaults"] });
      config.mounts.push({ destination: "/fs/proc", type: "proc", source: "proc", options: ["nosuid", "hidepid=2"] });
    },
    shows: { "init/mount//fs/proc": /hidepid=invisible/, "init/mount//fs/defaults": /./ },
  },
  {
    name: "tmpfs-copies",
    about: "a tmpfs that takes the image's content",
    without: { runc: "runc copies the content but not what mode the covered directory has" },
    prepare: ({ rootfs }) => {
      mkdirSync(`${rootfs}/srv/deep`, { recursive: true });
      writeFileSync(`${rootfs}/srv/deep/file`, "from the image", { mode: 0o640 });
      symlinkSync("deep/file", `${rootfs}/srv/link`);
      chmodSync(`${rootfs}/srv`, 0o751);
    },
    edit: (config) => {
      config.mounts.push({ destination: "/srv", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "size=1m"] });
    },
    probe: ["/srv/link"],
    shows: { "init//srv/link": "from the image" },
  },
  {
    name: "overlay",
    about: "an overlay as a volume",
    prepare: ({ work }) => {
      for (const name of ["lower", "upper", "workdir"]) mkdirSync(`${work}/${name}`);
      writeFileSync(`${work}/lower/file`, "from below");
      // An overlay in an overlay's upper directory needs another file system.
      call("mount", "-t", "tmpfs", "tmpfs", `${work}/upper`);
      for (const name of ["upper", "workdir"]) mkdirSync(`${work}/upper/${name}`);
    },
    edit: (config, { work }) => {
      config.mounts.push({
        destination: "/data",
        type: "overlay",
        source: "overlay",
        options: [`lowerdir=${work}/lower`, `upperdir=${work}/upper/upper`, `workdir=${work}/upper/workdir`, "nodev"],
      });
    },
    probe: ["/data/file"],
    shows: { "init//data/file": "from below" },
  },
  {
    name: "targets",
    about: "targets behind links, relative ones, one on top of another",
    prepare: (place) => {
      volume(place);
      mkdirSync(`${place.rootfs}/real/place`, { recursive: true });
      symlinkSync("/real/place", `${place.rootfs}/absolute`);
      symlinkSync("../../../real", `${place.rootfs}/upwards`);
    },
    edit: (config, { work }) => {
      bind(config, `${work}/volume`, "/absolute", "bind");
      bind(config, `${work}/volume/folder`, "/upwards/other", "bind");
      bind(config, `${work}/volume/folder`, "relative/target", "bind");
      config.mounts.push({ destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["size=1m"] });
      bind(config, `${work}/volume`, "/tmp/below", "bind", "ro");
    },
    shows: { "init/mount//real/place": /./, "init/mount//real/other": /./, "init/mount//tmp/below": /./ },
  },
  {
    name: "hidden-paths",
    about: "masked and read-only paths of the image, missing ones among them",
    prepare: ({ rootfs }) => {
      mkdirSync(`${rootfs}/secret/folder`, { recursive: true });
      writeFileSync(`${rootfs}/secret/file`, "secret");
      mkdirSync(`${rootfs}/fixed`);
      writeFileSync(`${rootfs}/fixed/file`, "fixed");
    },
    edit: (config) => {
      config.root.readonly = false;
      config.linux.maskedPaths = ["/secret/folder", "/secret/file", "/not/there", "/proc/kcore"];
      config.linux.readonlyPaths = ["/fixed", "/secret", "/not/there/either", "/proc/sys"];
    },
    probe: ["/secret/file", "/fixed/file"],
    shows: { "init//secret/file": "", "init//fixed/file": "fixed" },
  },
  {
    name: "no-pivot",
    about: "without pivot_root, as for a root on a ram disk",
    flags: ["--no-pivot"],
    edit: () => {},
  },
  {
    name: "cgroup-mount-writable",
    about: "cgroups that the container may change, in a namespace of its own",
    edit: (config) => {
      config.linux.namespaces.push({ type: "cgroup" });
      const mount = config.mounts.find(({ destination }: Config) => destination === "/sys/fs/cgroup");
      mount.options = ["nosuid", "noexec", "nodev", "relatime"];
    },
  },
  {
    name: "host-dev",
    about: "the host's /dev instead of one of its own",
    edit: (config) => {
      config.mounts = config.mounts.filter(({ destination }: Config) => !destination.startsWith("/dev"));
      bind(config, "/dev", "/dev", "rbind", "rslave");
      // Files of the host's /dev are many, and not the container's.
      config.root.readonly = false;
    },
  },
  {
    name: "idmapped",
    about: "a volume whose ids are mapped",
    without: { runc: since("1.2") },
    needs: needsKernel(5, 12),
    prepare: ({ work, rootfs }) => {
      call("mount", "-t", "tmpfs", "tmpfs", work);
      mkdirSync(`${work}/volume`);
      writeFileSync(`${work}/volume/file`, "text");
      call("chown", "-R", "0:0", `${work}/volume`);
      call("chown", "-R", "100000:100000", rootfs);
    },
    edit: (config, { work }) => {
      const map = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
      config.linux.namespaces.push({ type: "user" });
      config.linux.uidMappings = map;
      config.linux.gidMappings = map;
      config.mounts.push({ destination: "/data", type: "bind", source: `${work}/volume`, options: ["rbind", "idmap"] });
    },
    shows: { "init/access/data": "r w" },
  },
  {
    name: "idmapped-own",
    about: "a volume with maps of its own, no user namespace",
    without: { runc: since("1.2"), crun: since("1.9", "maps in options, not in properties") },
    needs: needsKernel(5, 12),
    prepare: ({ work }) => {
      call("mount", "-t", "tmpfs", "tmpfs", work);
      mkdirSync(`${work}/volume`);
      call("chown", "-R", "5000:6000", `${work}/volume`);
    },
    edit: (config, { work }) => {
      config.mounts.push({
        destination: "/data",
        type: "bind",
        source: `${work}/volume`,
        options: ["bind", "ridmap"],
        uidMappings: [{ containerID: 5000, hostID: 0, size: 1 }],
        gidMappings: [{ containerID: 6000, hostID: 0, size: 1 }],
      });
    },
    shows: { "init/root/data": "d 0755 0:0" },
  },
];
