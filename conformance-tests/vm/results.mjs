// What the results of a machine say, for people and for scripts/test.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** So many failures are shown with their messages; where more fail, the reason is one and the same. */
const SHOWN = 15;

/** The message up to the stack; the log has all of it. */
function excerpt(text) {
  const lines = text
    .split(/^ +at /m, 1)[0]
    .trimEnd()
    .split("\n");
  return lines.slice(0, 12).join("\n    ");
}

function readJest(result) {
  const failures = result.testResults.flatMap((suite) =>
    suite.status === "failed" && suite.assertionResults.length === 0
      ? [{ name: suite.name, message: suite.message }]
      : suite.assertionResults
          .filter((test) => test.status === "failed")
          .map((test) => ({ name: test.fullName, message: test.failureMessages.join("\n") })),
  );
  return { passed: result.numPassedTests, skipped: result.numPendingTests + result.numTodoTests, failures };
}

/** Of a suite of conformance-tests/main.ts. */
function readSuite(name, [{ cases }]) {
  const of = (kind) => cases.filter(({ outcome }) => outcome.kind === kind);
  return {
    passed: of("passed").length,
    skipped: of("skipped").length,
    failures: of("failed").map((each) => ({ name: `${name}: ${each.name}`, message: each.outcome.detail })),
  };
}

/**
 * Reads what `suite` has left in the folder for `names`: "jest" or a suite's name. No results count as a failure, and so does a
 * status that they do not explain.
 */
export function readResults(folder, names, status) {
  const all = names.map((name) => {
    const file = join(folder, `${name}.json`);
    if (!existsSync(file))
      return { passed: 0, skipped: 0, failures: [{ name, message: `left no results (status ${status})` }] };
    const result = JSON.parse(readFileSync(file, "utf8"));
    return name === "jest" ? readJest(result) : readSuite(name, result);
  });
  const failures = all.flatMap((each) => each.failures);
  if (status !== 0 && failures.length === 0) failures.push({ name: "the tests", message: `status ${status}` });
  const sum = (count) => all.reduce((total, each) => total + each[count], 0);
  return { passed: sum("passed"), skipped: sum("skipped"), failures };
}

/** The failures, and a line of counts. */
export function describeResults(machine, { passed, skipped, failures }) {
  return [
    ...failures.map(
      ({ name, message }, i) => `${machine}: failed: ${name}${i < SHOWN ? `\n    ${excerpt(message)}` : ""}`,
    ),
    `${machine}: ${passed} passed, ${failures.length} failed, ${skipped} skipped`,
  ].join("\n");
}
