// Runs mount, umount and losetup as child processes, because these programs access devices whose requests this process must answer.
// Invariant: each call is bounded in time, even if the program hangs in the kernel.

import { spawn } from 'node:child_process';
import { killChild } from '@rsio/base/lib/kill-child';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { DEVICE_COMMAND_OUTPUT_MAX_BYTES, DEVICE_COMMAND_TIMEOUT_MS } from '../limits.ts';

/**
 * Runs a program and returns its output. If `fd` is given, the program gets `fd` as descriptor 3. Throws E_SYSTEM with the last line of the
 * program's error output. The context of the error contains `isLate` if the program took too long.
 */
export function runCommand(clock: Clock, program: string, args: readonly string[], fd?: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: fd === undefined ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'pipe', 'pipe', fd],
      env: { ...process.env, LC_ALL: 'C' },
    });
    const output = { out: '', err: '' };
    const fail = (why: string, context = {}): void => reject(new RsError('E_SYSTEM', `${program}: ${why}`, context));
    const timer = clock.after(DEVICE_COMMAND_TIMEOUT_MS, () => {
      killChild(child);
      fail(`no end within ${DEVICE_COMMAND_TIMEOUT_MS / 1000} s: the machine is busy, try again`, { isLate: true });
    });
    child.on('error', (error) => {
      timer.cancel();
      fail(error.message);
    });
    child.stdout?.on('data', (bytes: Buffer) => (output.out = kept(output.out, bytes)));
    child.stderr?.on('data', (bytes: Buffer) => (output.err = kept(output.err, bytes)));
    child.on('close', (code, signal) => {
      timer.cancel();
      if (code === 0) resolve(output.out.trim());
      else fail(lastLine(output.err) ?? signal ?? `exit code ${code}`);
    });
  });
}

function kept(before: string, bytes: Buffer): string {
  return (before + bytes.toString('utf8')).slice(0, DEVICE_COMMAND_OUTPUT_MAX_BYTES);
}

/** Returns the text's last line without the leading program name (`mount: FILE: ...`). */
function lastLine(text: string): string | null {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.includes('dmesg(1)'));
  return (
    lines
      .at(-1)
      ?.trim()
      .replace(/^\w+: /, '') ?? null
  );
}
