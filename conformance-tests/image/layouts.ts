/** Images made by Debian's umoci and skopeo, since the tests reach no registry. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

export function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 28 });
  if (status !== 0) throw error ?? new Error(`${command} ${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** Whether this host has the programs that make and read images. */
export const hasTools = ["umoci", "skopeo", "tar", "zstd", "xz", "bzip2"].every(
  (tool) => spawnSync("sh", ["-c", `command -v ${tool}`]).status === 0,
);

/** A tree with a bit of everything that a tar archive can hold. */
export function makeTree(path: string): void {
  mkdirSync(path);
  execFileSync(
    "sh",
    [
      "-euc",
      `umask 022
      mkdir -p bin etc/deep/er usr/lib 'with space' empty var/tmp
      cp /bin/busybox bin/busybox && chmod 4755 bin/busybox
      for i in $(seq 300); do echo "file $i" > usr/lib/f$i; done
      ln bin/busybox bin/sh; ln -s busybox bin/ls; ln -s /etc/deep usr/link; ln -s nowhere dangling
      mkfifo -m 640 var/pipe; mknod -m 666 var/null c 1 3; mknod -m 660 var/disk b 8 1
      chmod 1777 var/tmp; chmod 500 etc/deep; chmod 0 etc/deep/er
      echo u > usr/umlaut-ä; printf 'x' > "$(printf 'bytes-\\377')"; printf x > 'quote"and
newline'
      mkdir -p usr/${"n".repeat(120)} && echo long > usr/${"n".repeat(120)}/${"m".repeat(200)}
      chown 1000:2000 etc; chown -h 1:2 usr/link; chown 3:4 var/pipe; chown 4000000:4000000 empty
      truncate -s 3M usr/sparse; echo end >> usr/sparse
      touch -d '2001-02-03 04:05:06.789012345 UTC' usr/lib/f1 etc/deep; touch -h -d '2002-02-03 UTC' dangling
      python3 -c 'import os; os.setxattr("usr/lib/f2", "user.note", bytes(range(256))); os.setxattr("usr/lib/f3", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000")); os.setxattr("etc", "user.d", b"d")'
      touch -d '2003-01-01 UTC' .`,
    ],
    { cwd: path },
  );
}

/** An OCI layout `<work>/layout` with an image \`tag\` of three layers, made with umoci; the later ones remove and replace. */
export function makeLayout(work: string, tag: string): string {
  const layout = join(work, "layout");
  const bundle = join(work, "umoci-bundle");
  run("umoci", "init", "--layout", layout);
  run("umoci", "new", "--image", `${layout}:${tag}`);
  run("umoci", "unpack", "--image", `${layout}:${tag}`, bundle);
  const rootfs = join(bundle, "rootfs");
  run("rmdir", rootfs);
  makeTree(rootfs);
  const repack = (): string => run("umoci", "repack", "--refresh-bundle", "--image", `${layout}:${tag}`, bundle);
  repack();
  execFileSync(
    "sh",
    [
      "-euc",
      `rm usr/lib/f10 usr/link dangling
      rm -r etc/deep; echo "a file now" > etc/deep
      rm -r 'with space' && mkdir 'with space' && echo new > 'with space/new'
      echo changed > usr/lib/f11; chmod 600 usr/lib/f12; chown 7:7 usr/lib/f13
      mkdir -p opt/new; ln usr/lib/f14 opt/new/f14`,
    ],
    { cwd: rootfs },
  );
  repack();
  execFileSync("sh", ["-euc", "rm -r usr/lib/f2* etc/deep; mkdir etc/deep; echo again > etc/deep/f; rm -r opt"], {
    cwd: rootfs,
  });
  repack();
  run("rm", "-rf", bundle);
  return layout;
}
