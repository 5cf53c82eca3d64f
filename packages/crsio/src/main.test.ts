// crsio of this version is honest about itself: help, version, and one line with exit code 1 for everything else.
// Runs the real program from its source.

import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

function crsio(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const run = spawnSync(process.execPath, ['--import', TSX, '--conditions=@rsio/source', MAIN, ...args], { encoding: 'utf8' });
  return { status: run.status, stdout: run.stdout, stderr: run.stderr };
}

test('says in one line that it is not there yet, and what to do instead', () => {
  const stderr = 'crsio: The curses tool is not in this version: edit /etc/rscltcfg with an editor and run rsiod [E_NOT_BUILT]\n';
  expect(crsio()).toEqual({ status: 1, stdout: '', stderr });
});

test('has help and version', () => {
  expect(crsio('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('usage: crsio') as unknown });
  expect(crsio('--version')).toMatchObject({ status: 0, stdout: expect.stringMatching(/^crsio .*\d+\.\d+\.\d+\n$/) as unknown });
});

test('wrong usage is exit code 2', () => {
  expect(crsio('--no-such')).toMatchObject({ status: 2, stderr: expect.stringContaining('[E_USAGE]') as unknown });
});
