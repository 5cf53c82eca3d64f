// Tests which failed files run once more, and what a second run of a file clears. Invariant: a second run hides no failure that it did not
// itself show to be gone. The runs are made by scripts/test.mjs, and the counts of each file by summary-reporter.mjs.

import { expect, test } from 'vitest';
import { afterSecondRuns, filesToRepeat, SECOND_RUNS_MAX } from './second-runs.mjs';

const counts = (file, passed, failed = 0, skipped = 0) => ({
  file,
  passed,
  ran: passed + failed,
  failures: Array.from({ length: failed }, (_, index) => ({ name: `${file} > test ${index}`, error: 'a wait ended' })),
  skipped: Array.from({ length: skipped }, (_, index) => ({ name: `${file} > skipped ${index}`, reason: 'needs fio' })),
});
const failedFiles = (many) => Array.from({ length: many }, (_, index) => counts(`${index}.test.ts`, 1, 1));

test('only failed files run again', () => {
  expect(filesToRepeat([counts('a.test.ts', 3), counts('b.test.ts', 2, 1), counts('c.test.ts', 0, 2)])).toEqual(['b.test.ts', 'c.test.ts']);
  expect(filesToRepeat([counts('a.test.ts', 3)])).toEqual([]);
});

test('as many files as the bound run again, and none of more', () => {
  expect(filesToRepeat(failedFiles(SECOND_RUNS_MAX))).toHaveLength(SECOND_RUNS_MAX);
  expect(filesToRepeat(failedFiles(SECOND_RUNS_MAX + 1))).toEqual([]);
});

test('an error outside of all files is cleared by no second run', () => {
  expect(filesToRepeat([counts('a.test.ts', 2, 1), counts(null, 0, 1)])).toEqual([]);
});

test('a green second run counts, and its file is named with the first failure', () => {
  const second = new Map([['a.test.ts', counts('a.test.ts', 3)]]);
  const after = afterSecondRuns([counts('a.test.ts', 2, 1), counts('b.test.ts', 1)], second);
  expect(after.counts).toEqual([counts('a.test.ts', 3), counts('b.test.ts', 1)]);
  expect(after.lines).toEqual(['needed a second run: a.test.ts: a.test.ts > test 0: a wait ended']);
});

test('a failure outside of the tests of a file asks for no further test', () => {
  const first = { ...counts('a.test.ts', 3), failures: [{ name: 'a.test.ts > outside of all tests', error: 'nobody awaits it' }] };
  expect(afterSecondRuns([first], new Map([['a.test.ts', counts('a.test.ts', 3)]])).counts).toEqual([counts('a.test.ts', 3)]);
  expect(afterSecondRuns([first], new Map([['a.test.ts', counts('a.test.ts', 2)]])).counts).toEqual([first]);
});

test.each([
  ['a second failure', counts('a.test.ts', 2, 1)],
  ['a run that left no counts', undefined],
  ['a run that skipped what had failed', counts('a.test.ts', 2, 0, 1)],
  ['a run without tests', counts('a.test.ts', 0)],
])('%s leaves the file as it was', (_, again) => {
  const first = [counts('a.test.ts', 2, 1)];
  expect(afterSecondRuns(first, new Map([['a.test.ts', again]]))).toEqual({ counts: first, lines: ['failed in both runs: a.test.ts'] });
});
