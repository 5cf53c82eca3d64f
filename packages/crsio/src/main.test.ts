// Tests crsio where no screen can be shown: help, version, wrong usage, and an error that says what to do instead. Runs the real program,
// built from its source.

import { spawnSync } from 'node:child_process';
import { useProgram } from '@rsio/base/testing/program-file';
import { expect, test } from 'vitest';

const program = useProgram(new URL('./main.ts', import.meta.url), ['blessed']);

function crsio(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const run = spawnSync(process.execPath, [program(), ...args], { encoding: 'utf8' });
  return { status: run.status, stdout: run.stdout, stderr: run.stderr };
}

test('without a terminal, one line reports it and the remedy', () => {
  const instead = 'run crsio in a terminal, or edit the file with an editor or with rsconfig, see rscltcfg(5) [E_TERMINAL]';
  expect(crsio()).toEqual({ status: 1, stdout: '', stderr: `crsio: Standard input is not a terminal: ${instead}\n` });
});

test('has help and version', () => {
  expect(crsio('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('usage: crsio') as unknown });
  expect(crsio('--version')).toMatchObject({ status: 0, stdout: expect.stringMatching(/^crsio .*\d+\.\d+\.\d+\n$/) as unknown });
});

test('wrong usage is exit code 2', () => {
  expect(crsio('--no-such')).toMatchObject({ status: 2, stderr: expect.stringContaining('[E_USAGE]') as unknown });
});
