// Runs one program to its end, with bounds: a program that ignores SIGTERM is killed, and the wait for a program that survives SIGKILL
// ends. shell.ts shows the output of the program.

import { spawn } from 'node:child_process';

/** Time from SIGTERM to SIGKILL. */
const KILL_AFTER_MS = 3_000;
const GIVE_UP_AFTER_MS = 5_000;
/** Longest duration of a probe. The limit is short, because a device that hangs blocks every program that touches it. */
const PROBE_TIMEOUT_MS = 10_000;

export interface ProgramRun {
  readonly cwd: string;
  readonly timeoutMs: number;
  readonly env?: NodeJS.ProcessEnv;
  /** Aborting this signal ends the program. */
  readonly signal?: AbortSignal | undefined;
  readonly output: (text: string) => void;
}

export const GOOD_END = 'ended with exit code 0';

/** Resolves with a part of a sentence that says how the program ended. Rejects if the program cannot be started. */
export function runProgram(file: string, args: readonly string[], options: ProgramRun): Promise<string> {
  const { cwd, timeoutMs, env, signal, output } = options;
  // The program gets its own process group. Ctrl-C in the terminal therefore reaches only the demo, and the demo ends everything cleanly.
  const child = spawn(file, [...args], { cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'], env });
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', output);
  return new Promise<string>((resolve, reject) => {
    const timers: NodeJS.Timeout[] = [];
    const later = (ms: number, action: () => void): void => void timers.push(setTimeout(action, ms));
    const askToEnd = (): void => {
      child.kill();
      later(KILL_AFTER_MS, () => child.kill('SIGKILL'));
      later(GIVE_UP_AFTER_MS, () => {
        for (const stream of [child.stdout, child.stderr]) stream.destroy();
        child.unref();
        over();
        resolve('does not end, not even by SIGKILL');
      });
    };
    const over = (): void => {
      for (const timer of timers) clearTimeout(timer);
      signal?.removeEventListener('abort', askToEnd);
    };
    later(timeoutMs, askToEnd);
    signal?.addEventListener('abort', askToEnd);
    child.on('error', (error) => {
      over();
      reject(error);
    });
    child.on('close', (code, killedBy) => {
      over();
      resolve(code === null ? `was ended by ${killedBy}` : `ended with exit code ${code}`);
    });
  });
}

export async function succeeds(file: string, ...args: readonly string[]): Promise<boolean> {
  const options = { cwd: '/', timeoutMs: PROBE_TIMEOUT_MS, output: () => undefined };
  return await runProgram(file, args, options).then(
    (ended) => ended === GOOD_END,
    () => false,
  );
}
