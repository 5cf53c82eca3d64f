// Tests the summary at the end of `npm test`: every failure must be counted, wherever it happens in a run. Stand-ins have the shape in
// which vitest passes results to a reporter.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import SummaryReporter, { failureLines, SUMMARY_FILE_VARIABLE } from './summary-reporter.mjs';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-summary-'));
  vi.stubEnv(SUMMARY_FILE_VARIABLE, join(folder, 'summary.json'));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

const resultOf = (state, note, ...errors) => ({ fullName: `a ${state} test`, result: () => ({ state, note, errors }) });
const suiteOf = (...errors) => ({ fullName: 'a suite', errors: () => errors });

function moduleOf({ tests = [], suites = [], errors = [] }) {
  return {
    relativeModuleId: 'x.test.ts',
    moduleId: '/here/x.test.ts',
    errors: () => errors,
    children: { allSuites: () => suites, allTests: () => tests },
  };
}

function summaryOf(modules, unhandled = []) {
  new SummaryReporter().onTestRunEnd(modules, unhandled);
  return JSON.parse(readFileSync(join(folder, 'summary.json'), 'utf8'));
}

test('counts passed and failed for each file', () => {
  const tests = [resultOf('passed'), resultOf('passed'), resultOf('failed')];
  const counts = summaryOf([moduleOf({ tests }), moduleOf({ tests: [resultOf('passed')] })]);
  expect(counts).toMatchObject([{ file: 'x.test.ts', passed: 2, skipped: [] }, { passed: 1 }]);
  expect(counts.map(({ failures }) => failures.length)).toEqual([1, 0]);
});

const ERROR = new Error('\u001b[31mexpected\u001b[39m 1 to be 2\n\n- Expected\n+ Received');

test.each([
  [
    'a test that fails',
    [moduleOf({ tests: [resultOf('failed', undefined, ERROR, new Error('y'))] })],
    [],
    'x.test.ts > a failed test',
    'x.test.ts',
  ],
  ['a file that does not load', [moduleOf({ errors: [ERROR] })], [], 'x.test.ts', 'x.test.ts'],
  ['a hook that fails', [moduleOf({ suites: [suiteOf(), suiteOf(ERROR)] })], [], 'x.test.ts > a suite', 'x.test.ts'],
  ['an error outside of all tests', [], [ERROR], 'outside of all tests', null],
  [
    'an error outside of the tests of a file',
    [moduleOf({})],
    [Object.assign(new Error(ERROR.message), { VITEST_TEST_PATH: '/here/x.test.ts' })],
    'x.test.ts > outside of all tests',
    'x.test.ts',
  ],
])('%s is a failure with its name and the first lines of its error', (_, modules, unhandled, name, file) => {
  expect(summaryOf(modules, unhandled)).toMatchObject([
    { file, passed: 0, failures: [{ name, error: 'expected 1 to be 2' }], skipped: [] },
  ]);
});

test('a comparison is told by the lines that differ', () => {
  const error = {
    message: "expected [ 1, …(1) ] to deeply equal [ +0, '' ]",
    diff: '- Expected\n+ Received\n\n  [\n-   0,\n-   "",\n+   1,\n+   "it is busy",\n  ]',
  };
  const [{ failures }] = summaryOf([moduleOf({ tests: [resultOf('failed', undefined, error)] })]);
  expect(failures[0].error).toBe('expected [ 1, …(1) ] to deeply equal [ +0, \'\' ] | -   0, | -   "", | +   1, | +   "it is busy",');
});

test('a message of several lines is told with the lines that say what went wrong', () => {
  const error = { message: 'rsadm volume list\n\nrsadm volume show db\n ended with 1: no such volume: expected 1 to be +0', diff: '' };
  const [{ failures }] = summaryOf([moduleOf({ tests: [resultOf('failed', undefined, error)] })]);
  expect(failures[0].error).toBe('rsadm volume list | rsadm volume show db | ended with 1: no such volume: expected 1 to be +0');
});

test('a test that never ended is a failure', () => {
  const [{ failures }] = summaryOf([moduleOf({ tests: [resultOf('pending')] })]);
  expect(failures).toEqual([{ name: 'x.test.ts > a pending test', error: 'It started but never ended' }]);
});

test('a failure without an error is one', () => {
  expect(summaryOf([moduleOf({ tests: [resultOf('failed')] })])[0].failures[0].error).toBe('no error given');
});

test('the end of a log names each failure in a line of bounded length', () => {
  expect(failureLines([{ name: 'x.test.ts > adds', error: 'expected 1 to be 2' }])).toEqual([
    'failed: x.test.ts > adds: expected 1 to be 2',
  ]);
  expect(failureLines([{ name: 'x', error: 'y'.repeat(10_000) }])[0]).toHaveLength(600);
});

test('of very many failures the end of a log says how many more there are', () => {
  const lines = failureLines(Array.from({ length: 100 }, (_, index) => ({ name: `test ${index}`, error: 'x' })));
  expect([lines.length, lines[29], lines[30]]).toEqual([31, 'failed: test 29: x', 'failed: 70 more']);
});

test('skipped tests keep their reasons', () => {
  const [{ skipped }] = summaryOf([moduleOf({ tests: [resultOf('skipped', 'needs nbdkit'), resultOf('skipped')] })]);
  expect(skipped.map(({ reason }) => reason)).toEqual(['needs nbdkit', null]);
});
