// Runs a program of the administrator or of the system (a trigger, a fence, wipefs) with an input, bounded output and limited time. The
// program runs in its own process group, and the whole group is killed. Invariant: whatever the program does, the result comes within the
// time limit plus TRIGGER_KILL_WAIT_MS.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Clock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import { TRIGGER_KILL_WAIT_MS, TRIGGER_OUTPUT_MAX_BYTES } from './limits.ts';

export interface ProgramResult {
  /** Reason why the program has failed; null if its exit code was 0. */
  readonly failure: string | null;
  readonly output: string;
}

/** `added` is added to the environment. */
export type RunProgram = (
  file: string,
  input: string,
  timeoutMs: number,
  args?: readonly string[],
  added?: NodeJS.ProcessEnv,
) => Promise<ProgramResult>;

/** `outputMaxBytes`: more output is dropped. */
export function programRunner(clock: Clock, outputMaxBytes = TRIGGER_OUTPUT_MAX_BYTES): RunProgram {
  return (file, input, timeoutMs, args = [], added = {}) =>
    new Promise((resolve) => {
      const child = started(file, args, added);
      if (typeof child === 'string') {
        resolve({ failure: child, output: '' });
        return;
      }
      let output = '';
      let isLate = false;
      const take = (bytes: Buffer): void => void (output = (output + bytes.toString('utf8')).slice(0, outputMaxBytes));
      const lateText = `it did not end within ${printDuration(timeoutMs)}`;
      const killed = (): void => {
        isLate = true;
        if (child.pid !== undefined) killGroup(child.pid);
        timer = clock.after(TRIGGER_KILL_WAIT_MS, () => end(lateText));
      };
      let timer = clock.after(timeoutMs, killed);
      const end = (failure: string | null): void => {
        timer.cancel();
        child.stdout.destroy();
        child.stderr.destroy();
        resolve({ failure, output });
      };
      child.stdout.on('data', take);
      child.stderr.on('data', take);
      // Ignore EPIPE, because a program need not read its input.
      child.stdin.on('error', () => undefined);
      child.on('error', (error) => end(error.message));
      child.on('exit', (code, signal) => {
        // Kill background processes of the program, because they would keep the program's output open.
        if (child.pid !== undefined) killGroup(child.pid);
        clock.soon(() =>
          end(isLate ? lateText : code === 0 ? null : `its ${signal === null ? `exit code is ${code}` : `end was ${signal}`}`),
        );
      });
      child.stdin.end(input);
    });
}

/**
 * Starts the program. If the program could not be started, returns the reason. Node throws some errors (ETXTBSY). After other errors
 * (EMFILE), Node returns a child without streams.
 */
function started(file: string, args: readonly string[], added: NodeJS.ProcessEnv): ChildProcessWithoutNullStreams | string {
  try {
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], cwd: '/', detached: true, env: { ...environment(), ...added } });
    if ((child.stdin as unknown) !== undefined && (child.stdin as unknown) !== null) return child;
    child.on('error', () => undefined);
    return 'this process has too many open files';
  } catch (thrown) {
    return toRsError(thrown).message;
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Ignore the error, because the process group has already ended.
  }
}

function environment(): NodeJS.ProcessEnv {
  return { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
}
