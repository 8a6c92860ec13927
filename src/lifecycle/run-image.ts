/** run --image: a bundle of the image, then run; the bundle goes with the container unless it is to be kept. */
import { removeReferenced } from "../image/references.ts";
import { usesBundle } from "../state/liveness.ts";
import type { Context } from "./context.ts";
import { type ImageRequest, makeImageBundle } from "./image-bundle.ts";
import { type RunRequest, run } from "./run.ts";
import type { Trace } from "./trace.ts";

export interface RunImageRequest {
  readonly image: ImageRequest;
  /** A directory for the bundle, which stays; undefined for one that goes with the container. */
  readonly keepBundle: string | undefined;
  readonly run: Omit<RunRequest, "bundle" | "configFile" | "bundleReference">;
}

/** Returns the exit status for the shell, as `run` does. */
export async function runImage(context: Context, request: RunImageRequest, trace?: Trace): Promise<number> {
  const { keepBundle } = request;
  const container = { root: context.root.path, id: request.run.id };
  const { bundle, reference } = await makeImageBundle(
    context,
    request.image,
    keepBundle === undefined ? { kind: "container", container } : { kind: "directory", path: keepBundle },
  );
  const own = keepBundle === undefined;
  try {
    return run(
      context,
      { ...request.run, bundle, configFile: undefined, bundleReference: own ? reference : undefined },
      trace,
    );
  } catch (error) {
    // Unless a container is left that needs it.
    if (own && !usesBundle(context.root, request.run.id, bundle)) removeReferenced(reference);
    throw error;
  }
}
