/** The five sets of capabilities (capabilities(7)). */
import {
  type CapabilityMasks,
  type CapabilityNames,
  capabilitiesOf,
  capabilityMasks,
} from "../compile/capabilities.ts";
import { hasNamespace, processShape } from "../compile/namespaces.ts";
import type { ExplainInput } from "./input.ts";
import { type Item, itemsOf } from "./item.ts";
import { statusFields } from "./status.ts";

const { ok, adjusted, differs, unknown } = itemsOf("capabilities");

const fields = {
  bounding: "CapBnd",
  effective: "CapEff",
  permitted: "CapPrm",
  inheritable: "CapInh",
  ambient: "CapAmb",
} as const;
type SetName = keyof typeof fields;

export function explainCapabilities({ config, atGate, facts, probe }: ExplainInput): Item[] {
  const { process } = config;
  if (process === undefined) return [];
  const field = statusFields(probe);
  const userNamespace = hasNamespace(processShape(config), "user");
  const { lastCapability } = facts;
  const asked = askedMasks(process.capabilities, lastCapability);
  const warnings: string[] = [];
  const granted = capabilityMasks(
    process.capabilities,
    { lastCapability, grantable: userNamespace ? ~0n : facts.permittedCapabilities },
    warnings,
  );
  const uid = process.user?.uid ?? 0;
  const executed = atGate ? granted : afterExec(granted, uid, process.noNewPrivileges === true);
  return (Object.keys(fields) as SetName[]).map((set) => {
    const shown = field(fields[set]);
    const configured = capabilitiesOf(asked[set]);
    if ("unreadable" in shown) return unknown(set, configured, shown.unreadable);
    const mask = BigInt(`0x${shown.value}`);
    const actual = capabilitiesOf(mask);
    if (mask === asked[set]) return ok(set, actual);
    if (mask !== executed[set]) return differs(set, { configured, actual });
    const why = warnings.filter((each) => each.startsWith(`/process/capabilities/${set}: `));
    return adjusted(set, {
      configured,
      actual,
      note: why.length > 0 ? why.join("; ") : uid === 0 ? ROOT : OTHERS,
    });
  });
}

const ROOT =
  "execve gives root what is both inheritable or bounding and, with no_new_privs, permitted (capabilities(7))";
const OTHERS = "execve leaves a user other than root only what is ambient (capabilities(7))";

/** What config.json names, as far as the kernel knows it. */
function askedMasks(names: CapabilityNames | undefined, lastCapability: number): CapabilityMasks {
  // Each set for itself: what depends on another set is left out otherwise.
  const alone = (set: SetName): bigint =>
    capabilityMasks({ bounding: names?.[set] }, { lastCapability, grantable: ~0n }, []).bounding;
  return {
    bounding: alone("bounding"),
    effective: alone("effective"),
    permitted: alone("permitted"),
    inheritable: alone("inheritable"),
    ambient: alone("ambient"),
  };
}

/** capabilities(7), Transformation of capabilities during execve, of a program without file capabilities. */
export function afterExec(masks: CapabilityMasks, uid: number, noNewPrivileges: boolean): CapabilityMasks {
  if (uid !== 0) return { ...masks, permitted: masks.ambient, effective: masks.ambient };
  const gained = masks.inheritable | masks.bounding | masks.ambient;
  // security/commoncap.c: with no_new_privs nothing is gained beyond what was permitted.
  const permitted = noNewPrivileges ? gained & masks.permitted : gained;
  return { ...masks, permitted, effective: permitted };
}
