// What jest's results of a machine say, for people and for scripts/test.
import { existsSync, readFileSync } from "node:fs";

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

/** Reads jest's results; none count as a failure, and so does a status that they do not explain. */
export function readResults(file, status) {
  if (!existsSync(file))
    return { passed: 0, skipped: 0, failures: [{ name: "jest", message: `left no results (status ${status})` }] };
  const result = JSON.parse(readFileSync(file, "utf8"));
  const failures = result.testResults.flatMap((suite) =>
    suite.status === "failed" && suite.assertionResults.length === 0
      ? [{ name: suite.name, message: suite.message }]
      : suite.assertionResults
          .filter((test) => test.status === "failed")
          .map((test) => ({ name: test.fullName, message: test.failureMessages.join("\n") })),
  );
  if (status !== 0 && failures.length === 0) failures.push({ name: "jest", message: `status ${status}` });
  return { passed: result.numPassedTests, skipped: result.numPendingTests + result.numTodoTests, failures };
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
