/** What explain says of one thing: what was configured, what the kernel says, and how the two stand to each other. */

export type Verdict =
  | "ok" // as configured
  | "adjusted" // not to the letter, but what the kernel or tsrun makes of it by a rule that the note names
  | "differs"
  | "unknown" // it could not be looked at; the note says why
  | "info"; // nothing was configured

export const sections = ["process", "capabilities", "namespaces", "mounts", "devices", "cgroups"] as const;
export type Section = (typeof sections)[number];

/** A text, or several things of which each is one. */
export type Value = string | readonly string[];

export interface Item {
  readonly section: Section;
  readonly name: string;
  readonly verdict: Verdict;
  /** Left out where nothing was. */
  readonly configured?: Value;
  /** Left out where it could not be looked at. */
  readonly actual?: Value;
  readonly note?: string;
  /** Of what differs: the container may do more than was configured, or is somewhere else. What restore refuses. */
  readonly grave?: true;
}

/** All that is told of one container. */
export interface Explanation {
  readonly id: string;
  readonly status: string;
  /** Of its init, as tsrun sees it. */
  readonly pid: number;
  readonly bundle: string;
  readonly items: readonly Item[];
}

type Body = Omit<Item, "section" | "name" | "verdict">;

/** The ways to make an item of one section. */
export function itemsOf(section: Section) {
  const make =
    (verdict: Verdict) =>
    (name: string, body: Body): Item => ({ section, name, verdict, ...body });
  return {
    ok: (name: string, value: Value, note?: string) =>
      make("ok")(name, { configured: value, actual: value, ...(note !== undefined && { note }) }),
    adjusted: make("adjusted"),
    differs: make("differs"),
    info: (name: string, actual: Value, note?: string) =>
      make("info")(name, { actual, ...(note !== undefined && { note }) }),
    unknown: (name: string, configured: Value | undefined, note: string) =>
      make("unknown")(name, { ...(configured !== undefined && { configured }), note }),
    /** `ok` when both are the same text or the same list, else `differs`. */
    compare: (name: string, configured: Value, actual: Value, note?: string, grave = false): Item =>
      same(configured, actual)
        ? make("ok")(name, { configured, actual })
        : make("differs")(name, { configured, actual, ...(note !== undefined && { note }), ...graveIf(grave) }),
  };
}

export const graveIf = (grave: boolean): { readonly grave?: true } => (grave ? { grave: true } : {});

const same = (a: Value, b: Value): boolean => JSON.stringify(a) === JSON.stringify(b);
