// Counts the passed, failed and skipped tests of each file of a vitest run for scripts/test.mjs, with the first lines of each error and the
// reason for each skipped test. vitest's own reporter shows failures in full. Invariant: a failing file or hook counts as a failed test,
// and each failure has an entry in `failures` of its file. An error outside of all tests, such as a promise that nobody awaits, belongs to the
// file that ran then, and to no file (`file: null`) if none did.

import { writeFileSync } from 'node:fs';

/** The JSON file for the counts, named by the caller. */
export const SUMMARY_FILE_VARIABLE = 'RSIO_TEST_SUMMARY';

const SHOWN_MAX = 30;
const MESSAGE_LINES_MAX = 6;
const DIFFERING_MAX = 8;
const LINE_MAX_CHARS = 600;
const ESCAPES = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g');

export default class SummaryReporter {
  onTestRunEnd(testModules, unhandledErrors) {
    const outside = emptyCounts(null);
    const counts = testModules.map((testModule) => countModule(testModule));
    for (const error of unhandledErrors) {
      const index = testModules.findIndex(({ moduleId }) => moduleId !== undefined && moduleId === error.VITEST_TEST_PATH);
      const at = counts[index] ?? outside;
      fail(at, at === outside ? 'outside of all tests' : `${at.file} > outside of all tests`, [error]);
    }
    const file = process.env[SUMMARY_FILE_VARIABLE];
    if (file !== undefined) writeFileSync(file, JSON.stringify(outside.failures.length > 0 ? [...counts, outside] : counts));
  }
}

/**
 * The counts of one test file, or those of no file: `failures` have a name and an error, `skipped` a name and a reason. `ran`: tests that
 * passed or failed.
 */
export function emptyCounts(file) {
  return { file, passed: 0, ran: 0, failures: [], skipped: [] };
}

function countModule(testModule) {
  const file = testModule.relativeModuleId;
  const counts = emptyCounts(file);
  for (const error of testModule.errors()) fail(counts, file, [error]);
  for (const suite of testModule.children.allSuites()) {
    for (const error of suite.errors()) fail(counts, `${file} > ${suite.fullName}`, [error]);
  }
  for (const test of testModule.children.allTests()) {
    const { state, note, errors } = test.result();
    const name = `${file} > ${test.fullName}`;
    if (state !== 'skipped') counts.ran += 1;
    if (state === 'passed') counts.passed += 1;
    else if (state === 'skipped') counts.skipped.push({ name, reason: note ?? null });
    else if (state === 'failed') fail(counts, name, errors ?? []);
    else fail(counts, name, [{ message: 'It started but never ended' }]);
  }
  return counts;
}

function fail(counts, name, errors) {
  const [message = '', diff = ''] = [errors[0]?.message ?? 'no error given', errors[0]?.diff].map((text) =>
    String(text ?? '').replaceAll(ESCAPES, ''),
  );
  counts.failures.push({ name, error: [...beginning(message), ...differing(diff)].join(' | ') });
}

/** The first lines of a message: one that a test begins with a command of several lines says only after them what went wrong. */
function beginning(message) {
  const lines = message.split('\n- Expected\n')[0].split('\n');
  return lines
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(0, MESSAGE_LINES_MAX);
}

/** The lines of a comparison that are wanted (-) or found (+), without its two headings. */
function differing(diff) {
  return diff
    .split('\n')
    .filter((line) => /^[-+](?! (?:Expected|Received)\b)/.test(line))
    .slice(0, DIFFERING_MAX);
}

/** One line for each failure: file, test name and error. If there are too many failures, the last line counts the rest. */
export function failureLines(failures) {
  const lines = failures.slice(0, SHOWN_MAX).map(({ name, error }) => `failed: ${name}: ${error}`.slice(0, LINE_MAX_CHARS));
  const more = failures.length - lines.length;
  return more > 0 ? [...lines, `failed: ${more} more`] : lines;
}
