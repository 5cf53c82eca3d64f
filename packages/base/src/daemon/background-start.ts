// Starts a daemon in the background. The starting process stays attached to the terminal, starts the same program as a detached child
// (daemon-process.ts), and waits. The child sends warnings, and finally reports success or an error. Invariant: when the returned promise
// settles, the child is ready or the child's whole process group has exited.

import { type ChildProcess, spawn } from 'node:child_process';
import { assert } from '../lib/assert.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { ERRORS, type ErrorCode, errnoName, RsError } from '../lib/errors.ts';
import { DAEMON_END_GRACE_MS, DAEMON_START_TIMEOUT_MS } from './limits.ts';

/**
 * Environment variable that marks a process as a background child. The child unsets the variable, because the programs that the child
 * starts are not background children.
 */
export const BACKGROUND_VARIABLE = 'RSIO_BACKGROUND';

/** Number of the file descriptor through which the child reports to the starting process. */
export const STARTER_FD = 3;

export type StartMessage =
  | { readonly type: 'warning'; readonly text: string }
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string };

export interface BackgroundStart {
  readonly program: string;
  /** Path and arguments of the program. The program inherits the channel to the starting process as file descriptor STARTER_FD. */
  readonly command: readonly string[];
  readonly note: (sentence: string) => void;
}

/**
 * Resolves when the child is ready. Rejects with the child's error, with E_SYSTEM if the child cannot be started, or with E_INTERNAL if the
 * child exits without reporting an error. After the time DAEMON_START_TIMEOUT_MS, terminates the child and rejects with E_TIMEOUT.
 */
export function startInBackground(start: BackgroundStart, clock: Clock): Promise<void> {
  const [program = '', ...args] = start.command;
  const child = spawn(program, args, {
    env: { ...process.env, [BACKGROUND_VARIABLE]: '1' },
    detached: true,
    // The channel becomes descriptor STARTER_FD, which is the position of `ipc` in the array `stdio`.
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  return new Promise((resolve, reject) => {
    let failure: RsError | undefined;
    const deadline = endAfter(child, clock, () => {
      failure ??= new RsError(
        'E_TIMEOUT',
        `${start.program} was not ready after ${DAEMON_START_TIMEOUT_MS} ms and was ended: see why with --foreground`,
      );
    });
    child.on('error', (error) => {
      deadline.cancel();
      reject(
        new RsError(
          'E_SYSTEM',
          `${start.program} could not be started (${errnoName(error) ?? error.message}): check memory and process limits`,
          {},
          error,
        ),
      );
    });
    child.on('message', (data) => {
      const message = guardStartMessage(data);
      if (message?.type === 'warning') start.note(message.text);
      else if (message?.type === 'failed') failure ??= new RsError(message.code, message.message);
      else if (message?.type === 'ready' && failure === undefined) {
        deadline.cancel();
        child.removeAllListeners('close');
        if (child.connected) child.disconnect();
        child.unref();
        resolve();
      }
    });
    // Listen for `close`, because `exit` may be emitted before the last message has been read.
    child.on('close', (code, signal) => {
      deadline.cancel();
      reject(
        failure ??
          new RsError(
            'E_INTERNAL',
            `${start.program} ended before it was ready (${signal ?? `exit code ${code}`}): see why with --foreground`,
          ),
      );
    });
  });
}

/** When the deadline passes, sends SIGTERM to the child's whole process group, and then SIGKILL after a grace period. */
function endAfter(child: ChildProcess, clock: Clock, expired: () => void): Timer {
  let timer = clock.after(DAEMON_START_TIMEOUT_MS, () => {
    expired();
    signalGroup(child, 'SIGTERM');
    timer = clock.after(DAEMON_END_GRACE_MS, () => signalGroup(child, 'SIGKILL'));
  });
  return { cancel: () => timer.cancel() };
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  assert(child.pid !== undefined, 'A child without pid has no deadline');
  try {
    process.kill(-child.pid, signal);
  } catch (thrown) {
    if (errnoName(thrown) !== 'ESRCH') throw thrown;
  }
}

function guardStartMessage(data: unknown): StartMessage | undefined {
  if (typeof data !== 'object' || data === null || !('type' in data)) return undefined;
  if (data.type === 'ready') return { type: 'ready' };
  if (data.type === 'warning' && 'text' in data && typeof data.text === 'string') return { type: 'warning', text: data.text };
  if (data.type !== 'failed' || !('code' in data) || !('message' in data) || typeof data.message !== 'string') return undefined;
  return { type: 'failed', code: isErrorCode(data.code) ? data.code : 'E_INTERNAL', message: data.message };
}

function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERRORS, code);
}
