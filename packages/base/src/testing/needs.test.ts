// Tests that a unit test can start only Node, the shell, the coreutils and the programs that it names. Other programs of the machine cannot
// be found.

import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { isProgramThere, needPrograms } from './needs.ts';

test.for(['the first test', 'the next one'])('%s has no program that it does not name', (_which, context) => {
  for (const program of ['node', 'sh', 'cat', 'mkfifo']) expect(isProgramThere(program)).toBe(true);
  for (const program of ['sed', 'perl', 'losetup']) expect(isProgramThere(program)).toBe(false);
  expect(spawnSync('sed', ['--version']).error).toMatchObject({ code: 'ENOENT' });
  needPrograms(context, 'sed');
  expect(spawnSync('sed', ['--version']).status).toBe(0);
  expect(isProgramThere('perl')).toBe(false);
});

test('a program that starts others finds them', (context) => {
  needPrograms(context, 'man');
  expect(spawnSync('man', ['--version'], { encoding: 'utf8' })).toMatchObject({ status: 0, stdout: expect.stringMatching(/^man /) });
});
