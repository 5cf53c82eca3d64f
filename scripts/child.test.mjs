// Tests that a signal which ends a program of scripts/ also ends the processes that the program has started. The program here runs a shell
// with a child that ignores signals.

import { getPriority } from 'node:os';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { ROOT } from './prepare.mjs';

const WAIT = { timeout: 15_000, interval: 20 };

/** Runs a shell script through runGroup. Returns the words of the first output line, and the process that called runGroup. */
async function begin(script, options = {}) {
  const code = `
    import { runGroup } from ${JSON.stringify(join(ROOT, 'scripts/child.mjs'))};
    const { status } = await runGroup('sh', ['-c', ${JSON.stringify(script)}], ${JSON.stringify(options)});
    process.exitCode = status;`;
  const runner = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(runner, 'close');
  const [line] = await once(runner.stdout.setEncoding('utf8'), 'data');
  return { runner, ended, words: line.trim().split(' ') };
}

/** True if the process has ended. An ended process may remain as a zombie if its parent does not wait for it. */
function isGone(pid) {
  return !existsSync(`/proc/${pid}/stat`) || readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z');
}

test.each([
  ['SIGTERM', 143],
  ['SIGINT', 130],
  ['SIGHUP', 129],
])('%s ends the program and its children', async (signal, code) => {
  const { runner, ended, words } = await begin(`(trap '' TERM INT HUP; sleep 600) & echo $$ $!; wait`);
  expect(words.map((pid) => isGone(pid))).toEqual([false, false]);
  runner.kill(signal);
  expect(await ended).toEqual([code, null]);
  for (const pid of words) await vi.waitUntil(() => isGone(pid), WAIT);
});

test('without a signal, the exit code is that of the program', async () => {
  const { ended, words } = await begin('echo here; exit 7');
  expect(words).toEqual(['here']);
  expect(await ended).toEqual([7, null]);
});

test('a program that gives way, and its children, have the least priority', async () => {
  const { ended, words } = await begin(`nice; true`, { givesWay: true });
  // In npm test, this test gives way itself; 19 is the last value.
  expect(words).toEqual([String(Math.min(19, getPriority() + 10))]);
  expect(await ended).toEqual([0, null]);
});
