// Tests that a signal to a child whose program could not be started reaches nobody. With `child.kill`, the process group of the caller gets
// it, and the caller with it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { killChild } from './kill-child.ts';

test('a program that does not exist: the process that wanted to start it goes on', async () => {
  const code = `
    const { spawn } = await import('node:child_process');
    const child = spawn('/nonexistent/program', [], { stdio: 'ignore' }).on('error', () => console.log('goes on'));
    const killChild = ${killChild.toString()};
    killChild(child);`;
  const caller = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  let said = '';
  caller.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  expect([await once(caller, 'close'), said]).toEqual([[0, null], 'goes on\n']);
});

test('a child that runs gets the signal', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => 0, 1000)'], { stdio: 'ignore' });
  killChild(child, 'SIGTERM');
  expect(await once(child, 'close')).toEqual([null, 'SIGTERM']);
});
