// What jest's results say, for people and for scripts/test.
import { existsSync, readFileSync } from "node:fs";

/** So many failures are shown with their messages; where more fail, the reason is one and the same. */
const SHOWN = 15;

/** The message up to the stack; all of it stands on standard error. */
function excerpt(text) {
  const lines = text
    .split(/^ +at /m, 1)[0]
    .trimEnd()
    .split("\n");
  return lines.slice(0, 12).join("\n    ");
}

/** Prints the failures and the line `vm: N passed, M failed, K skipped`; returns the exit status. */
export function report(file, status) {
  if (!existsSync(file)) {
    console.log(`jest left no results (status ${status})`);
    console.log("vm: 0 passed, 1 failed, 0 skipped");
    return 1;
  }
  const result = JSON.parse(readFileSync(file, "utf8"));
  const failures = result.testResults.flatMap((suite) =>
    suite.status === "failed" && suite.assertionResults.length === 0
      ? [{ name: suite.name, message: suite.message }]
      : suite.assertionResults
          .filter((test) => test.status === "failed")
          .map((test) => ({ name: test.fullName, message: test.failureMessages.join("\n") })),
  );
  for (const [i, { name, message }] of failures.entries())
    console.log(`failed in the guest: ${name}${i < SHOWN ? `\n    ${excerpt(message)}` : ""}`);
  const failed = result.numFailedTests + result.numRuntimeErrorTestSuites;
  const skipped = result.numPendingTests + result.numTodoTests;
  console.log(`vm: ${result.numPassedTests} passed, ${failed} failed, ${skipped} skipped`);
  return failed > 0 || status !== 0 ? 1 : 0;
}
