// `npm test`: builds, runs the unit tests, the conformance suite and a dozen tests with real processes, and says what it has not run.
// `npm test -- --all` also runs the worlds, the simulator and all other tests; so does a name filter of vitest, for the files that it names.
// Suites that only compute run beside the others with a lower priority: the worlds and the simulator, or the unit tests if these two do
// not run. A failed file of tests with real processes runs once more at the end (second-runs.mjs). A signal ends Vitest and all processes that tests have started (child.mjs).
// Invariant: the last line is `N passed, N failed`, and the exit code is 0 if and only if something passed and nothing failed. A suite over
// its time budget causes a warning only.

import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runGroup } from './child.mjs';
import { prepare, ROOT, secondsSince, tool } from './prepare.mjs';
import { afterSecondRuns, filesToRepeat } from './second-runs.mjs';
import { emptyCounts, failureLines, SUMMARY_FILE_VARIABLE } from './summary-reporter.mjs';

const UNIT = { name: 'unit', budgetSeconds: 240 };
/** `hasProcesses`: the daemons are real processes, so that a test can be wrong on a busy machine. */
const SUITES = [
  { name: 'conformance', budgetSeconds: 60, hasProcesses: true },
  { name: 'integration', budgetSeconds: 1080, hasProcesses: true },
];
/** These run beside the others, in this order, unless `npm test` has no time for them. */
const COMPUTING = [
  { name: 'worlds', budgetSeconds: 240 },
  { name: 'sim', budgetSeconds: 1320 },
];
/** The tests with real daemons that `npm test` runs: one for each thing that a user must be able to rely on. */
const SYSTEM = [
  'durability',
  'take-over',
  'mirror',
  'snapshots',
  'pools',
  'farm',
  'sites',
  'gate-iscsi',
  'encryption',
  'stall',
  'end-and-restart',
  'tutorial',
];
/** None of these tests has an emulated machine, which would lose patience. */
const SYSTEM_WORKERS = 4;
const SYSTEM_FILES = SYSTEM.map((name) => `test/integration/${name}.test.ts`);

const isAll = process.argv.includes('--all');
const filters = process.argv.slice(2).filter((word) => word !== '--all');
const isShort = !isAll && filters.length === 0;
let ended = false;
process.on('exit', (code) => {
  // If the build or this script fails, the last line must also report a failure.
  if (!ended && code !== 0) console.log('0 passed, 1 failed');
});

prepare();
const folder = mkdtempSync(join(tmpdir(), 'rsio-test-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const sums = [];
const beside = runBeside(isShort ? [UNIT] : COMPUTING);
for (const suite of isShort ? SUITES : [UNIT, ...SUITES])
  sums.push(await runSuite(suite, isShort && suite.name === 'integration' ? { only: SYSTEM_FILES, workers: SYSTEM_WORKERS } : {}));
sums.push(...(await beside));
const secondRuns = await repeatFailed(sums.filter(({ name }) => SUITES.some((suite) => suite.name === name && suite.hasProcesses)));
report(sums);

/** Runs each failed file of these suites once more, alone. Returns the lines that name these files, and changes the counts of the suites. */
async function repeatFailed(suites) {
  const second = new Map();
  for (const file of filesToRepeat(suites.flatMap(({ counts }) => counts))) {
    console.log(`${file} failed, and runs once more, alone`);
    const { name } = suites.find(({ counts }) => counts.some((one) => one.file === file));
    const { counts } = await runSuite({ name, budgetSeconds: Infinity }, { only: [file] });
    second.set(
      file,
      counts.find((one) => one.file === file),
    );
  }
  return suites.flatMap((suite) => {
    const { counts, lines } = afterSecondRuns(suite.counts, second);
    suite.counts = counts;
    return lines;
  });
}

/** Runs suites that give way to others, one after the other, and prints the output of each at its end. */
async function runBeside(suites) {
  const sums = [];
  for (const suite of suites) {
    const path = join(folder, `${suite.name}.log`);
    const output = openSync(path, 'w');
    try {
      sums.push(await runSuite(suite, { output, givesWay: true }));
    } finally {
      closeSync(output);
      process.stdout.write(readFileSync(path));
    }
  }
  return sums;
}

async function runSuite({ name, budgetSeconds }, { only = filters, workers, ...options } = {}) {
  const startMs = performance.now();
  const file = join(folder, `${name}.json`);
  rmSync(file, { force: true });
  const result = await runGroup(
    tool('vitest'),
    ['run', '--project', name, '--reporter=default', `--reporter=${join(ROOT, 'scripts/summary-reporter.mjs')}`].concat(
      workers === undefined ? [] : [`--maxWorkers=${workers}`],
      only.length > 0 ? ['--passWithNoTests', ...only] : [],
    ),
    { ...options, cwd: ROOT, env: { ...process.env, [SUMMARY_FILE_VARIABLE]: file } },
  );
  const counts = readCounts(file) ?? [];
  if (result.status !== 0 && counts.every(({ failures }) => failures.length === 0)) {
    const error = `vitest ended with ${result.signal ?? `code ${result.status}`} although no test failed: counted as one failure`;
    counts.push({ ...emptyCounts(null), failures: [{ name, error }] });
  }
  const overBudget = performance.now() - startMs > budgetSeconds * 1000;
  return { name, counts, line: `${secondsSince(startMs)}${overBudget ? `, warning: over its budget of ${budgetSeconds} s` : ''}` };
}

function readCounts(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

function report(suites) {
  const all = suites.flatMap(({ counts }) => counts);
  for (const { name, reason } of all.flatMap(({ skipped }) => skipped)) console.log(`skipped: ${name}: ${reason ?? 'no reason given'}`);
  for (const line of failureLines(all.flatMap(({ failures }) => failures))) console.log(line);
  for (const { name, counts, line } of suites) {
    const sum = totals(counts);
    console.log(`${name}: ${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped in ${line}`);
  }
  for (const line of secondRuns) console.log(line);
  if (isShort) console.log(notRun());
  const { passed, failed } = totals(all);
  ended = true;
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

function notRun() {
  const others = readdirSync(join(ROOT, 'test'), { recursive: true })
    .map((name) => join('test', String(name)))
    .filter((name) => name.endsWith('.test.ts') && !/node_modules|dist|^test\/(sim|conformance|vm|postgres-app)\//.test(name));
  const left = others.filter((name) => !SYSTEM_FILES.includes(name)).length;
  return `not run: the worlds, the simulator, and ${left} files of tests with real processes: npm test -- --all runs everything`;
}

function totals(counts) {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const { passed, failures, skipped } of counts) {
    sum.passed += passed;
    sum.failed += failures.length;
    sum.skipped += skipped.length;
  }
  return sum;
}
