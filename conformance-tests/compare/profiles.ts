/**
 * docker's and podman's own seccomp profiles, turned into config.json's form as those engines do: entries count for some
 * architectures, capabilities and kernels only. Both come from Debian packages; the second is podman's dependency.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { join, resolve } from "node:path";
import type { Engine } from "./bundle.ts";

/** What an entry depends on. */
interface Condition {
  readonly arches?: readonly string[] | null;
  readonly caps?: readonly string[] | null;
  readonly minKernel?: string;
}

interface Entry {
  readonly names?: readonly string[];
  readonly name?: string;
  readonly action: string;
  readonly args?: readonly object[] | null;
  readonly errnoRet?: number;
  readonly includes?: Condition | null;
  readonly excludes?: Condition | null;
}

interface Profile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly archMap?: readonly { readonly architecture: string; readonly subArchitectures: readonly string[] | null }[];
  readonly syscalls: readonly Entry[];
}

const ARCHITECTURE: Readonly<Record<string, readonly [profile: string, libseccomp: string]>> = {
  x64: ["amd64", "SCMP_ARCH_X86_64"],
  arm64: ["arm64", "SCMP_ARCH_AARCH64"],
};

const cache = resolve(__dirname, "../../build/compare");

const podmanProfile = "/usr/share/containers/seccomp.json";

/** Where an engine's profile is, if it is there. */
export const findProfile = (engine: Engine): string | undefined =>
  [engine === "docker" ? dockerProfile() : podmanProfile].find((path) => existsSync(path));

/** docker's default.json, out of the source package's library, which is unpacked and not installed. */
function dockerProfile(): string {
  const name = "usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json";
  const path = join(cache, "docker", name);
  if (existsSync(path)) return path;
  mkdirSync(join(cache, "docker"), { recursive: true });
  const script = "apt-get -qq -o APT::Sandbox::User=root download golang-github-docker-docker-dev && dpkg -x ./*.deb .";
  spawnSync("bash", ["-c", script], { cwd: join(cache, "docker") });
  return path;
}

/** For `needs`. */
export const needsProfile = (engine: Engine) => (): string | undefined =>
  findProfile(engine) === undefined
    ? `${engine}'s seccomp profile is not there: it comes with a Debian package`
    : undefined;

/** `capabilities`: the bounding set of the container. */
export function profileOf(engine: Engine, capabilities: readonly string[]): object {
  const path = findProfile(engine);
  if (path === undefined) throw new Error(`no seccomp profile of ${engine}`);
  const profile: Profile = JSON.parse(readFileSync(path, "utf8"));
  const [own, native] = ARCHITECTURE[process.arch] ?? ["", ""];
  const sub = profile.archMap?.find(({ architecture }) => architecture === native)?.subArchitectures ?? [];
  const kernel = (text: string): number => {
    const [, major = "0", minor = "0"] = /^(\d+)\.(\d+)/.exec(text) ?? [];
    return Number(major) * 1000 + Number(minor);
  };
  const counts = ({ includes, excludes }: Entry): boolean => {
    if (excludes?.arches?.includes(own)) return false;
    if (excludes?.caps?.some((each) => capabilities.includes(each))) return false;
    if (excludes?.minKernel !== undefined && kernel(release()) >= kernel(excludes.minKernel)) return false;
    if ((includes?.arches?.length ?? 0) > 0 && !includes?.arches?.includes(own)) return false;
    if (includes?.caps?.some((each) => !capabilities.includes(each))) return false;
    return includes?.minKernel === undefined || kernel(release()) >= kernel(includes.minKernel);
  };
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    architectures: [native, ...sub],
    syscalls: profile.syscalls.filter(counts).map(({ names, name, action, args, errnoRet }) => ({
      names: names ?? [name],
      action,
      ...(errnoRet === undefined ? {} : { errnoRet }),
      ...((args ?? []).length === 0 ? {} : { args }),
    })),
  };
}
