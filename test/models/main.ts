// `npm run models`: compiles the models and makes their runs (runs.ts), or makes one run with a given variant and bounds. The runs are made
// one after the other, with low priority. Invariant: the exit code is 0 if and only if every run has the result in runs.ts.

import { mkdtempSync, rmSync } from 'node:fs';
import { setPriority, tmpdir } from 'node:os';
import path from 'node:path';
import { compileModel, runModel } from './compiler.ts';
import type { ModelRun } from './run-tables.ts';
import { RUNS } from './runs.ts';

const USAGE = `usage: npm run models -- [--small | --big] [MODEL]
       npm run models -- MODEL VARIANT BOUND... [OPTION...]

Searches the models of test/models for violations of their promises. Without arguments, the runs take a quarter of an hour and up to 5 GiB.
  --small   the runs that the tests make: a few seconds
  --big     also the largest: 45 minutes and up to 8 GiB
  MODEL     only the runs of this model
A variant with bounds is one run, and prints its trace: npm run models -- mirror read-fixed 2 1 1 0 0 2 0 0
`;
const LOW_PRIORITY = 15;
const SIZES = { small: ['small'], normal: ['small', 'normal'], big: ['small', 'normal', 'big'] };

function firstLine(output: string): string {
  return (output.split('\n', 1)[0] ?? '').trim();
}

function runAll(runs: readonly ModelRun[], programOf: (model: string) => string): boolean {
  let wrong = 0;
  for (const { model, variant, args, expected } of runs) {
    const { result, output } = runModel(programOf(model), variant, args);
    console.log(`${model} ${variant} ${args}: ${firstLine(output)}`);
    if (result === expected) continue;
    wrong += 1;
    console.log(`NOT AS EXPECTED: it should say: ${expected}\n${output}`);
  }
  console.log(`${runs.length - wrong} as expected, ${wrong} not`);
  return wrong === 0;
}

function main(words: readonly string[]): number {
  const models = [...new Set(RUNS.map((run) => run.model))];
  const size = words[0] === '--small' ? 'small' : words[0] === '--big' ? 'big' : 'normal';
  const [model, ...own] = size === 'normal' ? words : words.slice(1);
  if (model !== undefined && !models.includes(model)) {
    process.stderr.write(`${USAGE}Models: ${models.join(', ')}\n`);
    return 2;
  }
  setPriority(LOW_PRIORITY);
  const folder = mkdtempSync(path.join(tmpdir(), 'rsio-models-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const programs = new Map<string, string>();
  const programOf = (name: string): string => {
    if (!programs.has(name)) programs.set(name, compileModel(name, folder, '-O2'));
    return programs.get(name) ?? '';
  };
  if (model !== undefined && own.length > 0) {
    const [variant = '', ...args] = own;
    const { result, output } = runModel(programOf(model), variant, args.join(' '));
    process.stdout.write(output);
    return result === undefined ? 2 : 0;
  }
  const runs = RUNS.filter((run) => SIZES[size].includes(run.size) && (model === undefined || run.model === model));
  return runAll(runs, programOf) ? 0 : 1;
}

process.exitCode = main(process.argv.slice(2));
