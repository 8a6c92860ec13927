// What jest's results say, for people and for scripts/test.
import { existsSync, readFileSync } from "node:fs";

/** Prints the failures and the line `vm: N passed, M failed, K skipped`; returns the exit status. */
export function report(file, status) {
  if (!existsSync(file)) {
    console.log(`jest left no results (status ${status})`);
    console.log("vm: 0 passed, 1 failed, 0 skipped");
    return 1;
  }
  const result = JSON.parse(readFileSync(file, "utf8"));
  // Up to the stack, which stands on standard error.
  const firstLines = (text) =>
    text
      .split(/^ +at /m, 1)[0]
      .trimEnd()
      .split("\n")
      .slice(0, 20)
      .join("\n    ");
  for (const suite of result.testResults) {
    for (const test of suite.assertionResults.filter((each) => each.status === "failed"))
      console.log(`failed in the guest: ${test.fullName}\n    ${firstLines(test.failureMessages.join("\n"))}`);
    if (suite.status === "failed" && suite.assertionResults.length === 0)
      console.log(`failed in the guest: ${suite.name}\n    ${firstLines(suite.message)}`);
  }
  const failed = result.numFailedTests + result.numRuntimeErrorTestSuites;
  const skipped = result.numPendingTests + result.numTodoTests;
  console.log(`vm: ${result.numPassedTests} passed, ${failed} failed, ${skipped} skipped`);
  return failed > 0 || status !== 0 ? 1 : 0;
}
