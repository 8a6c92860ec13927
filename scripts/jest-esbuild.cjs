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
      // ESM-only packages make a `require` from their own address.
      define: { "import.meta.url": "importMetaUrl" },
      banner: source.includes("import.meta.url") ? 'const importMetaUrl = "file://" + __filename;' : "",
    });
    return { code, map };
  },
  getCacheKey: (source, filename) => createHash("sha256").update(`2\0${filename}\0${source}`).digest("hex"),
};
