// Counts a vitest run for scripts/test.mjs: passed, failed and skipped tests, the skipped ones with their reasons.
// Leaves showing failures to vitest's own reporter. A file or hook that fails counts as a failed test: nothing red is lost from the sum.

import { writeFileSync } from 'node:fs';

/** Where the counts go: a JSON file, named by the caller. */
export const SUMMARY_FILE_VARIABLE = 'RSIO_TEST_SUMMARY';

export default class SummaryReporter {
  onTestRunEnd(testModules, unhandledErrors) {
    const summary = { passed: 0, failed: unhandledErrors.length, skipped: [] };
    for (const testModule of testModules) countModule(testModule, summary);
    const file = process.env[SUMMARY_FILE_VARIABLE];
    if (file !== undefined) writeFileSync(file, JSON.stringify(summary));
  }
}

function countModule(testModule, summary) {
  summary.failed += testModule.errors().length;
  for (const suite of testModule.children.allSuites()) summary.failed += suite.errors().length;
  for (const test of testModule.children.allTests()) {
    const { state, note } = test.result();
    if (state === 'passed') summary.passed += 1;
    else if (state === 'failed') summary.failed += 1;
    else if (state === 'skipped') summary.skipped.push({ name: `${testModule.relativeModuleId} > ${test.fullName}`, reason: note ?? null });
    else summary.failed += 1; // pending: it was begun and never came to an end
  }
}
