// The sum that `npm test` ends with: nothing red may be lost from it, wherever in a run it happened.
// Stand-ins have the shape in which vitest hands its results to a reporter.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import SummaryReporter, { SUMMARY_FILE_VARIABLE } from './summary-reporter.mjs';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-summary-'));
  vi.stubEnv(SUMMARY_FILE_VARIABLE, join(folder, 'summary.json'));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

const resultOf = (state, note) => ({ fullName: `a ${state} test`, result: () => ({ state, note }) });
const suiteOf = (...errors) => ({ errors: () => errors });

function moduleOf({ tests = [], suites = [], errors = [] }) {
  return { relativeModuleId: 'x.test.ts', errors: () => errors, children: { allSuites: () => suites, allTests: () => tests } };
}

function summaryOf(modules, unhandled = []) {
  new SummaryReporter().onTestRunEnd(modules, unhandled);
  return JSON.parse(readFileSync(join(folder, 'summary.json'), 'utf8'));
}

test('counts passed and failed over all files', () => {
  const tests = [resultOf('passed'), resultOf('passed'), resultOf('failed')];
  expect(summaryOf([moduleOf({ tests }), moduleOf({ tests })])).toEqual({ passed: 4, failed: 2, skipped: [] });
});

test.each([
  ['a file that does not load', [moduleOf({ errors: [new Error('x')] })], []],
  ['a hook that fails', [moduleOf({ suites: [suiteOf(), suiteOf(new Error('x'))] })], []],
  ['an error outside of all tests', [], [new Error('x')]],
  ['a test that never ended', [moduleOf({ tests: [resultOf('pending')] })], []],
])('%s counts as a failure', (_, modules, unhandled) => {
  expect(summaryOf(modules, unhandled).failed).toBe(1);
});

test('skipped tests keep their reasons', () => {
  const { skipped } = summaryOf([moduleOf({ tests: [resultOf('skipped', 'needs nbdkit'), resultOf('skipped')] })]);
  expect(skipped.map(({ reason }) => reason)).toEqual(['needs nbdkit', null]);
});
