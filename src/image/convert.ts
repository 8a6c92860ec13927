/**
 * An image's configuration as what config.json says of the program: image-spec's conversion.md, field by field. Pure.
 *
 * What the caller asks for counts as a change of the image's configuration ("Externally provided inputs"), so it is applied
 * before the conversion: src/image/overrides.ts.
 */
import type { ImageConfig } from "../../spec-schemas/image.ts";
import { TsrunError } from "../core/errors.ts";
import type { WantedPlatform } from "./select.ts";
import { type ContainerUser, resolveUser, type UserFiles } from "./users.ts";

export const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Beginnings of annotations by which a label could have a runtime do something on the host: hooks' output, sockets and
 * groups (tsrun, crun), properties of systemd units (runc, crun), options of CRIU (runc).
 */
const unsafeAnnotations = ["run.oci.", "org.systemd.", "org.criu."];

export interface Converted {
  readonly process: {
    readonly args: readonly string[];
    readonly env: readonly string[];
    readonly cwd: string;
    readonly user: ContainerUser;
  };
  readonly annotations: Readonly<Record<string, string>>;
  /** For the log: labels that were left out, another architecture than the host's. */
  readonly warnings: readonly string[];
}

/** Throws `image` when the image cannot be run: no program, a user that it does not have, another operating system. */
export function convertImage(image: ImageConfig, files: UserFiles, host: WantedPlatform): Converted {
  if (image.os !== "linux") throw new TsrunError("image", `the image is for ${image.os}, not for linux`);
  const config = image.config ?? {};
  const args = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  if (args.length === 0) {
    throw new TsrunError("image", "the image names no program (Entrypoint, Cmd)", {
      advice: "give the program and its arguments yourself, behind --",
    });
  }
  const env = config.Env ?? [];
  const hasPath = env.some((each) => each.startsWith("PATH="));
  const { annotations, warnings } = annotationsOf(image);
  if (image.architecture !== host.architecture) {
    // binfmt_misc may run it all the same.
    warnings.push(`the image is for ${image.architecture}, and this host is ${host.architecture}`);
  }
  return {
    process: {
      args,
      env: hasPath ? env : [...env, DEFAULT_PATH],
      cwd: workingDirectory(config.WorkingDir ?? ""),
      user: resolveUser(config.User ?? "", files),
    },
    annotations,
    warnings,
  };
}

function workingDirectory(path: string): string {
  if (path === "") return "/";
  if (path.startsWith("/")) return path;
  throw new TsrunError("image", `the working directory ${JSON.stringify(path)} is not an absolute path`, {
    advice: "give another with --workdir",
  });
}

/** Labels win over what the specification derives of other fields. */
function annotationsOf(image: ImageConfig): { annotations: Record<string, string>; warnings: string[] } {
  const { config } = image;
  const derived: Readonly<Record<string, string | null | undefined>> = {
    os: image.os,
    architecture: image.architecture,
    variant: image.variant,
    "os.version": image["os.version"],
    "os.features": image["os.features"]?.join(","),
    author: image.author,
    created: image.created,
    stopSignal: config?.StopSignal,
    exposedPorts: Object.keys(config?.ExposedPorts ?? {}).join(","),
  };
  const annotations: Record<string, string> = {};
  for (const [name, value] of Object.entries(derived)) {
    if (value !== undefined && value !== null && value !== "") annotations[`org.opencontainers.image.${name}`] = value;
  }
  const warnings: string[] = [];
  for (const [name, value] of Object.entries(config?.Labels ?? {})) {
    if (unsafeAnnotations.some((prefix) => name.startsWith(prefix))) {
      warnings.push(`the image's label ${JSON.stringify(name)} is left out: runtimes act on it`);
    } else {
      annotations[name] = value;
    }
  }
  return { annotations, warnings };
}
