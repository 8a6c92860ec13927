// Writes what comes from src/plan/vocabulary.ts: addon/abi/plan.gen.h, src/plan/hash.gen.ts, the table of docs/plan-format.md; and
// from spec-schemas/config.ts: spec-schemas/shapes.gen.ts.
// `--check` writes nothing and fails when one of them is stale.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { transformSync } from "esbuild";
import { generateShapes } from "./shapes.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const source = readFileSync(join(root, "src/plan/vocabulary.ts"), "utf8");
const { code } = transformSync(source, { loader: "ts", format: "esm" });
const { vocabulary, operations, syncPoints, limits, pivotMethods, linkRules } = await import(
  `data:text/javascript,${encodeURIComponent(code)}`
);

const pascal = (text) => text.replace(/(^|[.\-_ ])(\w)/g, (_, __, c) => c.toUpperCase());
const snake = (text) => text.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
const typeOf = (field) => field.split(":", 1)[0];
const wire = {
  u64: "kU64",
  i64: "kU64",
  bool: "kBool",
  str: "kStr",
  strs: "kStrs",
  bytes: "kBytes",
  u64s: "kU64s",
  slot: "kSlot",
};
const cpp = {
  u64: "uint64_t",
  i64: "int64_t",
  bool: "bool",
  str: "Str",
  strs: "Strs",
  bytes: "Bytes",
  u64s: "U64s",
  slot: "Slot",
};

const kinds = Object.entries(vocabulary);
const seen = new Map();
for (const [kind, { code: number }] of kinds) {
  if (seen.has(number)) throw new Error(`${kind} and ${seen.get(number)} share code ${number}`);
  seen.set(number, kind);
}
// What both sides must agree on; the prose is left out, so that a better sentence does not change the format.
const shape = JSON.stringify([
  kinds.map(([k, v]) => [k, v.code, v.side, Object.entries(v.fields).map(([n, t]) => [n, typeOf(t)])]),
  operations,
  syncPoints,
  limits,
  pivotMethods,
  linkRules,
]);
const hash = createHash("sha256").update(shape).digest().readUInt32LE(0);

const maxCode = Math.max(...kinds.map(([, v]) => v.code));
const bits = { host: 1, container: 2, both: 3 };
const list = (side) =>
  kinds
    .filter(([, v]) => v.side === side || v.side === "both")
    .map(([k]) => `  X(${pascal(k)})`)
    .join(" \\\n");

const header = `// Made by scripts/generate.mjs from src/plan/vocabulary.ts; do not edit.
#pragma once
#include <cstddef>
#include <cstdint>

#include "addon/abi/record.h"

namespace tsrun::abi {

inline constexpr uint32_t kVocabularyHash = 0x${hash.toString(16)}u;
inline constexpr uint32_t kMaxPlanBytes = ${limits.planBytes};
inline constexpr uint32_t kMaxSteps = ${limits.steps};
inline constexpr uint32_t kMaxSlots = ${limits.slots};
inline constexpr uint32_t kMaxElements = ${limits.elements};
inline constexpr uint16_t kMaxStepCode = ${maxCode};

enum class StepKind : uint16_t {
${kinds.map(([k, v]) => `  k${pascal(k)} = ${v.code},`).join("\n")}
};

/// What failed: a system call, or a check of ours.
enum class Op : uint16_t {
${operations.map((o, i) => `  k${pascal(o)} = ${i},`).join("\n")}
};

enum class SyncPoint : uint64_t {
${Object.entries(syncPoints)
  .map(([n, v]) => `  k${pascal(n)} = ${v},`)
  .join("\n")}
};

enum class PivotMethod : uint64_t {
${Object.entries(pivotMethods)
  .map(([n, v]) => `  k${pascal(n)} = ${v},`)
  .join("\n")}
};

/// Bits of mount.bind's \`links\`.
${Object.entries(linkRules)
  .map(([n, v]) => `inline constexpr uint64_t kLink${n[0].toUpperCase()}${n.slice(1)} = ${v};`)
  .join("\n")}

/// How the verifier checks a record of this code; \`name\` is null for a code that is not in use.
struct StepInfo {
  const char* name;
  uint8_t sides; // ${bits.host} = host list, ${bits.container} = container list
  uint8_t field_count;
  FieldType fields[12];
};

inline constexpr StepInfo kStepInfo[kMaxStepCode + 1] = {
${Array.from({ length: maxCode + 1 }, (_, i) => {
  const kind = seen.get(i);
  if (kind === undefined) return "    {nullptr, 0, 0, {}},";
  const v = vocabulary[kind];
  const fields = Object.values(v.fields).map((t) => `FieldType::${wire[typeOf(t)]}`);
  if (fields.length > 12) throw new Error(`${kind} has more than 12 fields`);
  return `    {"${kind}", ${bits[v.side]}, ${fields.length}, {${fields.join(", ")}}},`;
}).join("\n")}
};

${kinds
  .map(
    ([k, v]) => `/// ${v.about}
struct ${pascal(k)} {
  static constexpr StepKind kKind = StepKind::k${pascal(k)};
${Object.entries(v.fields)
  .map(([n, t]) => `  ${cpp[typeOf(t)]} ${snake(n)};`)
  .join("\n")}
  ${
    Object.keys(v.fields).length > 0
      ? `explicit ${pascal(k)}(const Record& r)\n      : ${Object.entries(v.fields)
          .map(([n, t], i) => `${snake(n)}(r.${typeOf(t) === "bool" ? "bool_" : typeOf(t)}(${i}))`)
          .join(",\n        ")} {}`
      : `explicit ${pascal(k)}(const Record&) {}`
  }
};
`,
  )
  .join("\n")}
#define TSRUN_HOST_STEPS(X) \\
${list("host")}

#define TSRUN_CONTAINER_STEPS(X) \\
${list("container")}

} // namespace tsrun::abi
`;

const table = kinds
  .map(
    ([k, v]) =>
      `| \`${k}\` | ${v.code} | ${v.side} | ${
        Object.entries(v.fields)
          .map(([n, t]) => `${n}: ${typeOf(t)}`)
          .join(", ") || "none"
      } | ${v.about} |`,
  )
  .join("\n");
const begin = "<!-- steps: made by scripts/generate.mjs -->";
const end = "<!-- end of steps -->";
const outputs = {
  "addon/abi/plan.gen.h": header,
  "src/plan/hash.gen.ts": `// Made by scripts/generate.mjs from src/plan/vocabulary.ts; do not edit.\n/** Both sides compare this before step 0: an addon and a tsrun of different builds refuse each other's plans. */\nexport const vocabularyHash = 0x${hash.toString(16)};\n`,
};
outputs["spec-schemas/shapes.gen.ts"] = await generateShapes(root);
const docs = join(root, "docs/plan-format.md");
if (existsSync(docs)) {
  const text = readFileSync(docs, "utf8");
  const [before, rest] = text.split(begin);
  const after = rest?.split(end)[1];
  if (after !== undefined)
    outputs["docs/plan-format.md"] =
      `${before}${begin}\n| kind | code | side | fields | what it does |\n| --- | --- | --- | --- | --- |\n${table}\n${end}${after}`;
}
let stale = 0;
for (const [path, text] of Object.entries(outputs)) {
  const file = join(root, path);
  if (existsSync(file) && readFileSync(file, "utf8") === text) continue;
  if (process.argv.includes("--check")) {
    console.error(`${path} is stale: run npm run generate`);
    stale++;
  } else {
    writeFileSync(file, text);
    console.log(`wrote ${path}`);
  }
}
process.exitCode = stale > 0 ? 1 : 0;
