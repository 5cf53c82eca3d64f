// `npm test`: builds, runs the unit tests, the conformance suite, the simulator and the tests with real processes, and prints a summary.
// Arguments are vitest's name filters. The output lists the failures at its end, because often only the end of a long log is kept. The
// simulator only computes: it runs beside the other suites with a lower priority. A signal ends Vitest and all processes that tests have
// started (child.mjs). Invariant: the last line is `N passed, N failed`, and the exit code is 0 if and only if something passed and nothing
// failed. A suite over its time budget causes a warning only.

import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runGroup } from './child.mjs';
import { prepare, ROOT, secondsSince, tool } from './prepare.mjs';
import { failureLines, SUMMARY_FILE_VARIABLE } from './summary-reporter.mjs';

const SUITES = [
  { name: 'unit', budgetSeconds: 240 },
  { name: 'conformance', budgetSeconds: 60 },
  { name: 'integration', budgetSeconds: 1080 },
];
const SIM = { name: 'sim', budgetSeconds: 1320 };

const filters = process.argv.slice(2);
let ended = false;
process.on('exit', (code) => {
  // If the build or this script fails, the last line must also report a failure.
  if (!ended && code !== 0) console.log('0 passed, 1 failed');
});

prepare();
const folder = mkdtempSync(join(tmpdir(), 'rsio-test-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const sums = [];
const beside = runBeside(SIM);
for (const suite of SUITES) sums.push(await runSuite(suite));
sums.push(await beside);
report(sums);

/** Runs a suite that gives way to others, and prints its output at its end. */
async function runBeside(suite) {
  const path = join(folder, `${suite.name}.log`);
  const output = openSync(path, 'w');
  try {
    return await runSuite(suite, { output, givesWay: true });
  } finally {
    closeSync(output);
    process.stdout.write(readFileSync(path));
  }
}

async function runSuite({ name, budgetSeconds }, options = {}) {
  const startMs = performance.now();
  const file = join(folder, `${name}.json`);
  const result = await runGroup(
    tool('vitest'),
    ['run', '--project', name, '--reporter=default', `--reporter=${join(ROOT, 'scripts/summary-reporter.mjs')}`].concat(
      filters.length > 0 ? ['--passWithNoTests', ...filters] : [],
    ),
    { ...options, cwd: ROOT, env: { ...process.env, [SUMMARY_FILE_VARIABLE]: file } },
  );
  const summary = readSummary(file) ?? { passed: 0, failures: [], skipped: [] };
  if (result.status !== 0 && summary.failures.length === 0) {
    const error = `vitest ended with ${result.signal ?? `code ${result.status}`} although no test failed: counted as one failure`;
    summary.failures.push({ name, error });
  }
  const overBudget = performance.now() - startMs > budgetSeconds * 1000;
  return { name, ...summary, line: `${secondsSince(startMs)}${overBudget ? `, warning: over its budget of ${budgetSeconds} s` : ''}` };
}

function readSummary(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

function report(sums) {
  for (const { name, reason } of sums.flatMap(({ skipped }) => skipped)) console.log(`skipped: ${name}: ${reason ?? 'no reason given'}`);
  for (const line of failureLines(sums.flatMap(({ failures }) => failures))) console.log(line);
  for (const { name, passed, failures, skipped, line } of sums) {
    console.log(`${name}: ${passed} passed, ${failures.length} failed, ${skipped.length} skipped in ${line}`);
  }
  const passed = sums.reduce((sum, suite) => sum + suite.passed, 0);
  const failed = sums.reduce((sum, suite) => sum + suite.failures.length, 0);
  ended = true;
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}
