// Tests the table of run.mjs: each program has a source, and package.json has a script for exactly these programs. The programs have
// their own tests.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './prepare.mjs';
import { compiledFile, PROGRAMS, usage } from './run.mjs';

function run(...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/run.mjs', ...args], { cwd: ROOT, encoding: 'utf8' });
  return { status, stdout, stderr };
}

test.each(Object.entries(PROGRAMS))('%s has a source', (_name, { entry, run: how }) => {
  expect(existsSync(join(ROOT, entry)), entry).toBe(true);
  expect(['compiled', 'source']).toContain(how);
});

test('package.json has exactly the programs, and at most 25 scripts', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const run = Object.entries(scripts).filter(([, command]) => command.includes('scripts/run.mjs'));
  expect(Object.fromEntries(run)).toEqual(Object.fromEntries(Object.keys(PROGRAMS).map((name) => [name, `node scripts/run.mjs ${name}`])));
  expect(Object.keys(scripts).length).toBeLessThanOrEqual(25);
});

test('compiled files are below dist of their package', () => {
  expect(compiledFile('test/sim/zoo/main.ts')).toBe('test/dist/sim/zoo/main.js');
  expect(compiledFile('bench/main.ts')).toBe('bench/dist/main.js');
});

test('without a name it prints the table; a wrong name is an error', () => {
  expect(run()).toEqual({ status: 0, stdout: usage(), stderr: '' });
  expect(usage()).toContain('\n  zoo              breaks one rule at a time');
  const wrong = 'run: Unknown program "constructor": see the list below [E_USAGE]\n';
  expect(run('constructor', '--quick')).toEqual({ status: 2, stdout: '', stderr: `${wrong}${usage()}` });
  // A drill has no script of its own.
  expect(run('sites').status).toBe(2);
});
