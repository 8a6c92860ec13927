/** How one case of a suite ended with one runtime. */
export type Outcome =
  | { readonly kind: "passed" }
  | { readonly kind: "failed"; readonly detail: string }
  | { readonly kind: "skipped"; readonly reason: string };

export interface CaseResult {
  readonly name: string;
  readonly outcome: Outcome;
  readonly seconds: number;
}

export interface Runtime {
  /** The file name of `path`: expectations go by it. */
  readonly name: string;
  readonly path: string;
  readonly version: string;
  /** The cgroup layout that it is to see; undefined for the one that `isolated` chooses. */
  readonly cgroups?: "v1" | "v2" | "host";
}

/** The arguments of `isolated` for it. */
export function isolatedArguments({ cgroups }: Runtime): readonly string[] {
  return cgroups === undefined ? [] : ["--cgroups", cgroups];
}

/** One run of one suite with one runtime: what the table is made of. */
export interface SuiteResult {
  readonly suite: string;
  readonly runtime: Runtime;
  readonly cases: readonly CaseResult[];
}

/** A suite runs its cases one after the other and reports each as it ends. */
export interface Suite {
  readonly name: string;
  caseNames(): readonly string[];
  /** Builds what the cases need. What the host lacks, so that no case can run, is the answer; what is broken is thrown. */
  prepare(): string | undefined;
  /** How each case ends, whatever is expected of the runtime. */
  run(runtime: Runtime, names: readonly string[], report: (result: CaseResult) => Promise<void>): Promise<void>;
  /**
   * Compares with what is expected of this runtime on this host: an expected failure becomes a skip with the reason, a pass
   * where a failure was expected becomes a failure.
   */
  judge(runtime: Runtime, result: CaseResult): Promise<Outcome>;
}
