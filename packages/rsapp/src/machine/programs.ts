// Runs programs of the system, such as mount, with a time limit and a bound on their output. Invariant: no program runs in a shell, and
// none outlives its time limit; a program that hangs in uninterruptible I/O is given up and reported.

import { execFile } from 'node:child_process';
import { systemClock } from '@rsio/base/lib/clock';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { SYSTEM_CALL_MS, SYSTEM_OUTPUT_MAX_BYTES } from '../limits.ts';

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program of the machine. Throws E_SYSTEM if it cannot be started, and E_TIMEOUT if it has not ended in time. */
export type RunProgram = (program: string, args: readonly string[], timeoutMs?: number) => Promise<Outcome>;

export const runProgram: RunProgram = (program, args, timeoutMs = SYSTEM_CALL_MS) =>
  new Promise((resolve, reject) => {
    const options = { timeout: timeoutMs, killSignal: 'SIGKILL', encoding: 'utf8', maxBuffer: SYSTEM_OUTPUT_MAX_BYTES } as const;
    const child = execFile(program, [...args], options, (error, stdout, stderr) => {
      stuck.cancel();
      if (error === null) return resolve({ code: 0, stdout, stderr });
      if (typeof error.code === 'number') return resolve({ code: error.code, stdout, stderr });
      if (error.killed === true) return reject(late(program, timeoutMs));
      reject(new RsError('E_SYSTEM', `${program} cannot be run (${errnoName(error) ?? error.message}): is it installed?`, {}, error));
    });
    // A killed program that is stuck in I/O would delay the callback.
    const stuck = systemClock.after(2 * timeoutMs, () => {
      child.unref();
      reject(late(program, timeoutMs));
    });
  });

/** Like `runProgram`, but a failure of the program is an error with the last line of its messages. */
export async function runWell(
  run: RunProgram,
  what: string,
  program: string,
  args: readonly string[],
  timeoutMs?: number,
): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, timeoutMs);
  if (code === 0) return stdout;
  const said = stderr.trim().split('\n').at(-1) ?? '';
  throw new RsError('E_SYSTEM', `${what} failed: ${program} ended with ${code}${said === '' ? '' : ` (${said})`}`);
}

function late(program: string, timeoutMs: number): RsError {
  return new RsError('E_TIMEOUT', `${program} has not ended within ${timeoutMs / 1000} s`);
}
