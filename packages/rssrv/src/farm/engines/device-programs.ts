// Runs losetup and umount as separate processes, because they may hang if the storage hangs. Invariant: each run and each wait settles
// within PROGRAM_MS, even if the program hangs in the kernel.

import { sleep } from '@rsio/base/lib/waiting';
import { spawn } from 'node:child_process';
import { killChild } from '@rsio/base/lib/kill-child';
import type { Clock } from '@rsio/base/lib/clock';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { withRights } from '../rights.ts';
import { POLL_MS, PROGRAM_MS, PROGRAM_OUTPUT_MAX_CHARS } from '../limits.ts';

/** Runs a program, and returns its output without the last line end. Throws E_STORAGE with the output of the program. */
export function runProgram(clock: Clock, program: string, args: readonly string[]): Promise<string> {
  const command = [program, ...args].join(' ');
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } });
    const said = { out: '', err: '' };
    const fail = (what: string): void => {
      const reason = withRights(what, 'CAP_SYS_ADMIN and /dev/loop-control');
      timer.cancel();
      reject(new RsError('E_STORAGE', `"${command}" failed (${reason}): run the command as root to see why`, { command, reason }));
    };
    const timer = clock.after(PROGRAM_MS, () => {
      killChild(child);
      fail(`no end within ${PROGRAM_MS} ms`);
    });
    const kept = (text: string, more: string): string => (text + more).slice(-PROGRAM_OUTPUT_MAX_CHARS);
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out = kept(said.out, text)));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err = kept(said.err, text)));
    child.on('error', (error) => fail(errnoName(error) === 'ENOENT' ? `${program} is not installed` : error.message));
    child.on('close', (code, signal) => {
      timer.cancel();
      if (code === 0) resolve(said.out.trim());
      else fail(said.err.trim() || (signal ?? `exit code ${code}`));
    });
  });
}

/** Resolves with the first result that is not null. Resolves with null after PROGRAM_MS. */
export async function awaited<T>(clock: Clock, look: () => T | null | Promise<T | null>): Promise<T | null> {
  const endMs = clock.monotonicMs() + PROGRAM_MS;
  for (;;) {
    const found = await look();
    if (found !== null || clock.monotonicMs() > endMs) return found;
    await sleep(clock, POLL_MS);
  }
}
