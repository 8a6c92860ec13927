/** What a directory holds, with all its metadata, for comparing two. */
import { spawnSync } from "node:child_process";

/** Node has no getxattr; everything else is read in the same pass. */
const program = `
import hashlib, json, os, stat, sys
root, names = sys.argv[1].encode(), {}
out = {}
def add(path):
    st = os.lstat(path)
    name = os.path.relpath(path, root).decode("utf8", "surrogateescape")
    entry = {"mode": oct(st.st_mode), "owner": [st.st_uid, st.st_gid], "mtime": str(st.st_mtime_ns)}
    entry["attributes"] = {n: os.getxattr(path, n, follow_symlinks=False).hex() for n in sorted(os.listxattr(path, follow_symlinks=False))}
    if stat.S_ISREG(st.st_mode):
        with open(path, "rb") as file: entry["content"] = [st.st_size, hashlib.sha256(file.read()).hexdigest()]
    elif stat.S_ISLNK(st.st_mode): entry["link"] = os.readlink(path).decode("utf8", "surrogateescape")
    elif stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode): entry["device"] = st.st_rdev
    if not stat.S_ISDIR(st.st_mode) and st.st_nlink > 1: names.setdefault(st.st_ino, []).append(name)
    out[name] = entry
add(root)
for directory, folders, files in os.walk(root):
    for each in folders + files: add(os.path.join(directory, each))
for same in names.values():
    for each in same: out[each]["names"] = sorted(same)
print(json.dumps(out, sort_keys=True))
`;

export type Tree = Readonly<Record<string, unknown>>;

export function treeOf(path: string): Tree {
  const { status, stdout, stderr } = spawnSync("python3", ["-c", program, path], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Tree;
}

/** The entries in which two trees differ. */
export function differences(a: Tree, b: Tree): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])]
    .filter((name) => JSON.stringify(a[name]) !== JSON.stringify(b[name]))
    .map((name) => `${name}: ${JSON.stringify(a[name])} ${JSON.stringify(b[name])}`);
}
