declare const TSRUN_VERSION: string | undefined;
declare const TSRUN_COMMIT: string | undefined;

/** Set by the build; "dev" when the sources run unbundled. */
export const version: string = typeof TSRUN_VERSION === "string" ? TSRUN_VERSION : "dev";
export const commit: string = typeof TSRUN_COMMIT === "string" ? TSRUN_COMMIT : "unknown";
/** The runtime-spec version that tsrun implements. */
export const specVersion = "1.3.0";
