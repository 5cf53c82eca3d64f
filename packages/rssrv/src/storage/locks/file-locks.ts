// Takes advisory locks (flock) on descriptors of this process, so that no two rssrv processes serve the same file. Also looks for marks,
// which show that a worker has a file open. Node.js has no flock, so a short-lived perl child (helpers/locks.pl) inherits the descriptors
// and takes the locks. A flock belongs to the open file, not to the process that took the lock. This process therefore holds the locks
// until it closes the descriptors or exits. A lock file beside the image would not protect the image under a second name, and would remain
// after a crash.

import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { killChild } from '@rsio/base/lib/kill-child';
import { systemClock } from '@rsio/base/lib/clock';
import { LOCKS_PER_HELPER_MAX, LOCK_HELPER_TIMEOUT_MS } from '../../machine/limits.ts';
import { helperFile } from '../../machine/helper-files.ts';

/**
 * `marked`: a worker has the file open for writing. The worker may have outlived its listener. `taken`: another process holds the lock.
 * `unavailable`: perl is missing, or the file system does not support locks. `silent`: the file system did not answer in time.
 */
export type LockOutcome = 'held' | 'marked' | 'taken' | 'unavailable' | 'silent';

export interface LockRequest {
  readonly descriptor: number;
  readonly shared: boolean;
  /** Looks for a mark without taking a lock. The outcome is `held` if there is no mark. */
  readonly isLook?: true;
}

const LOOK = 0;
const LOCK_SHARED = 1;
const LOCK_EXCLUSIVE = 2;
const LOCK_UNLOCK = 8;

/** Takes the locks, and looks for marks. Returns one outcome for each request, in the order of the requests. */
export async function takeLocks(requests: readonly LockRequest[], command = 'perl'): Promise<LockOutcome[]> {
  const outcomes: LockOutcome[] = [];
  for (let start = 0; start < requests.length; start += LOCKS_PER_HELPER_MAX) {
    const some = requests.slice(start, start + LOCKS_PER_HELPER_MAX);
    const descriptors = some.map(({ descriptor }) => descriptor);
    const modes = some.map(({ shared, isLook }) => (isLook === true ? LOOK : shared ? LOCK_SHARED : LOCK_EXCLUSIVE));
    outcomes.push(...(await flockAll(descriptors, modes, command)));
  }
  return outcomes;
}

/**
 * Returns true for each file that supports locks, even if the file is currently locked. A file that cannot be opened counts as lockable,
 * because the failed open is reported elsewhere. The helper tests with an unlock, because a test lock could make another rssrv fail to
 * start.
 */
export async function areLockable(files: readonly string[], command = 'perl'): Promise<boolean[]> {
  const lockable: boolean[] = [];
  for (let start = 0; start < files.length; start += LOCKS_PER_HELPER_MAX) {
    const some = files.slice(start, start + LOCKS_PER_HELPER_MAX);
    const handles = await Promise.all(some.map((file) => open(file, constants.O_RDONLY).catch(() => null)));
    const opened = handles.filter((handle) => handle !== null);
    const descriptors = opened.map(({ fd }) => fd);
    const modes = opened.map(() => LOCK_UNLOCK);
    const outcomes = await flockAll(descriptors, modes, command);
    lockable.push(...handles.map((handle) => handle === null || outcomes[opened.indexOf(handle)] !== 'unavailable'));
    for (const handle of opened) await handle.close();
  }
  return lockable;
}

async function flockAll(descriptors: readonly number[], modes: readonly number[], command: string): Promise<LockOutcome[]> {
  const args = [helperFile('locks.pl'), ...modes.map(String)];
  const first = await run(command, args, descriptors);
  // Retry if the helper was killed, for example by the OOM killer. After a kill, the state of the locks is unknown, so the outcome
  // `unavailable` would be wrong.
  const { text, isLate } = first.isKilled ? await run(command, args, descriptors) : first;
  const lines = text.split('\n');
  return descriptors.map((_, index) => {
    const line = lines[index];
    return line === 'held' || line === 'marked' || line === 'taken' ? line : isLate ? 'silent' : 'unavailable';
  });
}

interface Ran {
  /** The helper's output. The output is incomplete if the helper could not start or took too long. */
  readonly text: string;
  /** True if the helper was killed by a signal that this process did not send. */
  readonly isKilled: boolean;
  /** True if this process killed the helper, because it took too long. */
  readonly isLate: boolean;
}

function run(command: string, args: readonly string[], descriptors: readonly number[]): Promise<Ran> {
  return new Promise((resolve) => {
    let text = '';
    let isLate = false;
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'ignore', ...descriptors],
    });
    // Do not use the time-out of `spawn`. If the program is missing, the timer of `spawn` remains, and delays the exit of this process.
    const timer = systemClock.after(LOCK_HELPER_TIMEOUT_MS, () => {
      isLate = true;
      killChild(child);
      // Do not wait for the exit, because a helper that hangs in a file system exits only when the file system answers.
      end(null);
    });
    const end = (signal: NodeJS.Signals | null): void => {
      timer.cancel();
      resolve({ text, isKilled: signal !== null && !isLate, isLate });
    };
    child.stdout?.setEncoding('latin1');
    child.stdout?.on('data', (piece: string) => {
      text += piece;
    });
    child.on('error', () => end(null));
    child.on('close', (_code, signal) => end(signal));
  });
}
