// Runs a program of a trigger: JSON on its stdin, its output bounded, its time limited. It is a process group of its own, which is killed as
// a whole. Invariant: the result comes within the time limit and TRIGGER_KILL_WAIT_MS, whatever the program does.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Clock } from '../lib/clock.ts';
import { toRsError } from '../lib/errors.ts';
import { printDuration } from '../lib/units.ts';
import { TRIGGER_KILL_WAIT_MS, TRIGGER_OUTPUT_MAX_BYTES } from './limits.ts';

export interface ProgramResult {
  /** Why the program has failed; null if its exit code was 0. */
  readonly failure: string | null;
  readonly output: string;
}

export type RunProgram = (file: string, input: string, timeoutMs: number) => Promise<ProgramResult>;

export function programRunner(clock: Clock): RunProgram {
  return (file, input, timeoutMs) =>
    new Promise((resolve) => {
      const child = started(file);
      if (typeof child === 'string') {
        resolve({ failure: child, output: '' });
        return;
      }
      let output = '';
      let isLate = false;
      const take = (bytes: Buffer): void => void (output = (output + bytes.toString('utf8')).slice(0, TRIGGER_OUTPUT_MAX_BYTES));
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
      // A program need not read its input.
      child.stdin.on('error', () => undefined);
      child.on('error', (error) => end(error.message));
      child.on('exit', (code, signal) => {
        // What it has left in the background would keep its output open.
        if (child.pid !== undefined) killGroup(child.pid);
        clock.soon(() =>
          end(isLate ? lateText : code === 0 ? null : `its ${signal === null ? `exit code is ${code}` : `end was ${signal}`}`),
        );
      });
      child.stdin.end(input);
    });
}

/** Returns why the program was not started. Node throws some errors (ETXTBSY), and gives no streams after others (EMFILE). */
function started(file: string): ChildProcessWithoutNullStreams | string {
  try {
    const child = spawn(file, [], { stdio: ['pipe', 'pipe', 'pipe'], cwd: '/', detached: true, env: environment() });
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
    // It has ended.
  }
}

function environment(): NodeJS.ProcessEnv {
  return { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
}
