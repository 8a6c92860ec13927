// Jest transform: TypeScript to CommonJS with esbuild (ts-jest needs a compiler API that TypeScript 7 no longer has).
const { transformSync } = require("esbuild");
const { createHash } = require("node:crypto");

module.exports = {
  process(source, filename) {
    const { code, map } = transformSync(source, {
      loader: "ts",
      format: "cjs",
      target: "node20",
      sourcefile: filename,
      sourcemap: "both",
    });
    return { code, map };
  },
  getCacheKey: (source, filename) => createHash("sha256").update(`1\0${filename}\0${source}`).digest("hex"),
};
