// Compiles a model with g++ into a folder, and starts runs of the program, one at a time. runs.ts has the expected results. Invariant: the
// result of a run is undefined if the program did not run to its end, or refused its arguments.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Result } from './run-tables.ts';

const FLAGS = ['-std=c++17', '-Wall', '-Wextra', '-Werror', '-Wno-parentheses'];
const RESULTS: readonly Result[] = ['holds', 'breaks', 'unfinished'];
const FOLDER = sourceFolder(path.dirname(fileURLToPath(import.meta.url)));

/** Finds the folder test/models, both from the source file and from the compiled one. */
function sourceFolder(here: string): string {
  return existsSync(path.join(here, 'search.hpp')) ? here : path.resolve(here, '../../models');
}

/**
 * Compiles a model into `folder` and returns the program. `-O0` is for small runs, for which compiling takes longer than running. Throws
 * with the compiler's output.
 */
export function compileModel(model: string, folder: string, optimize: '-O0' | '-O2'): string {
  const program = path.join(folder, model);
  const { error, status, stderr } = spawnSync('g++', [optimize, ...FLAGS, '-o', program, path.join(FOLDER, model, `${model}.cpp`)], {
    encoding: 'utf8',
  });
  if (error !== undefined) throw new Error(`Models need g++: install the Debian package g++ (${error.message})`);
  if (status !== 0) throw new Error(`g++ does not compile model ${model}: ${stderr}`);
  return program;
}

/** Runs a model to its end. `output` has the count of states, and the trace of a violation. */
export function runModel(program: string, variant: string, args: string): { result: Result | undefined; output: string } {
  const { status, stdout } = spawnSync(program, [variant, ...args.split(' ')], { encoding: 'utf8', maxBuffer: 1 << 24 });
  return { result: RESULTS[status ?? RESULTS.length], output: stdout };
}
