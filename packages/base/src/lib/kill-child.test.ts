// Tests that no signal is sent to a child whose program could not be started, because Node.js would send the signal to the process group of
// the caller. A real call would end the tests, so the child is a stand-in.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test, vi } from 'vitest';
import { killChild } from './kill-child.ts';

test('a child whose program could not be started gets no signal', () => {
  const kill = vi.fn(() => true);
  killChild({ pid: undefined, kill });
  expect(kill).not.toHaveBeenCalled();
  killChild({ pid: 7, kill });
  expect(kill.mock.calls).toEqual([['SIGKILL']]);
});

test('a child that runs gets the signal', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => 0, 1000)'], { stdio: 'ignore' });
  killChild(child, 'SIGTERM');
  expect(await once(child, 'close')).toEqual([null, 'SIGTERM']);
});
