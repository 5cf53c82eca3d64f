// `npm run check`: every check of the sources that needs no daemon, each step with its time; a failed step does not stop the next.
// `--static` omits the unit tests. test.mjs runs the tests with real processes. Invariant: the exit code is 0 if and only if every step
// passed.

import { spawnSync } from 'node:child_process';
import { install, ROOT, secondsSince, tool } from './prepare.mjs';

const BUDGET_SECONDS = 60;
const OUTPUT_MAX_BYTES = 64 * 1024 * 1024;

const STEPS = [
  { name: 'format', command: tool('biome'), args: ['format'] },
  { name: 'lint', command: tool('oxlint'), args: ['--type-aware'] },
  { name: 'types', command: tool('tsc'), args: ['-b'] },
  { name: 'dead code', command: tool('knip'), args: ['--no-config-hints'] },
  { name: 'tidy', command: process.execPath, args: ['scripts/tidy.mjs'] },
  { name: 'branches', command: process.execPath, args: ['scripts/test-branches.mjs'] },
  { name: 'rules', command: process.execPath, args: ['scripts/rules.mjs'] },
];
const UNIT_TESTS = { name: 'unit tests', command: tool('vitest'), args: ['run', '--project', 'unit', '--reporter=dot'] };

install();
const startMs = performance.now();
const steps = process.argv.includes('--static') ? STEPS : [...STEPS, UNIT_TESTS];
const red = steps.filter((step) => !passes(step)).map(({ name }) => name);
const total = secondsSince(startMs);
if (performance.now() - startMs > BUDGET_SECONDS * 1000) console.log(`check: warning: took longer than its budget of ${BUDGET_SECONDS} s`);
console.log(red.length === 0 ? `check: all green in ${total}` : `check: red in ${total}: ${red.join(', ')}`);
process.exitCode = red.length === 0 ? 0 : 1;

function passes({ name, command, args }) {
  const stepStartMs = performance.now();
  const result = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8', maxBuffer: OUTPUT_MAX_BYTES });
  const green = result.status === 0;
  if (!green) process.stdout.write(`${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? '\n'}`);
  console.log(`check: ${name.padEnd(10)} ${green ? 'green' : 'RED  '} ${secondsSince(stepStartMs)}`);
  return green;
}
