/** One project a test level: `unit` needs neither root nor the addon, `root` needs both, `conformance` runs the built program as a black box, `vm` does so in the guest of conformance-tests/vm. */
const base = {
  testEnvironment: "node",
  // yargs-parser is an ES module, which jest cannot load as it is before Node 24.9.
  transform: { "\\.ts$|/yargs-parser/.*\\.js$": "<rootDir>/scripts/jest-esbuild.cjs" },
  transformIgnorePatterns: ["/node_modules/(?!yargs-parser/)"],
  moduleFileExtensions: ["ts", "js", "cjs", "json", "node"],
};
module.exports = {
  // For a test that hangs; how long one takes is nowhere a matter of its result.
  testTimeout: 60_000,
  projects: [
    {
      ...base,
      displayName: "unit",
      testMatch: ["<rootDir>/{src,spec-schemas,scripts}/**/*.test.ts"],
      testPathIgnorePatterns: ["\\.root\\.test\\.ts$"],
    },
    { ...base, displayName: "root", testMatch: ["<rootDir>/src/**/*.root.test.ts"] },
    {
      ...base,
      displayName: "conformance",
      testMatch: ["<rootDir>/conformance-tests/**/*.test.ts"],
      testPathIgnorePatterns: ["/conformance-tests/vm/"],
    },
    { ...base, displayName: "vm", testMatch: ["<rootDir>/conformance-tests/vm/**/*.test.ts"] },
  ],
};
