// Advisory locks (flock) on descriptors of this process, so that two rssrv never serve one file. Node has no flock, but such a
// lock belongs to the open file, not to who asked for it: a short-lived perl child (helpers/locks.pl) that inherits the
// descriptors takes the locks, and this process holds them until it closes its descriptors or ends, however it ends.

import { spawn } from 'node:child_process';
import { systemClock } from '@rsio/protocol/lib/clock';
import { LOCK_HELPER_TIMEOUT_MS, LOCKS_PER_HELPER_MAX } from '@rsio/protocol/lib/program-limits';
import { helperFile } from './backends/helper-files.ts';

/** `taken`: somebody else holds it; `unavailable`: no perl, or a file system without locks. */
export type LockOutcome = 'held' | 'taken' | 'unavailable';

export interface LockRequest {
  readonly descriptor: number;
  /** A shared lock goes together with other shared ones. */
  readonly shared: boolean;
}

const LOCK_SHARED = 1;
const LOCK_EXCLUSIVE = 2;

/** Outcomes in the order of the requests. */
export async function takeLocks(requests: readonly LockRequest[], command = 'perl'): Promise<LockOutcome[]> {
  const outcomes: LockOutcome[] = [];
  for (let start = 0; start < requests.length; start += LOCKS_PER_HELPER_MAX) {
    outcomes.push(...(await takeSome(requests.slice(start, start + LOCKS_PER_HELPER_MAX), command)));
  }
  return outcomes;
}

async function takeSome(requests: readonly LockRequest[], command: string): Promise<LockOutcome[]> {
  const modes = requests.map((request) => String(request.shared ? LOCK_SHARED : LOCK_EXCLUSIVE));
  const args = [helperFile('locks.pl'), ...modes];
  const first = await run(command, args, requests);
  // Killed by somebody, such as a kernel without memory: that says nothing of the locks, and going on without them would.
  const { text } = first.isKilled ? await run(command, args, requests) : first;
  const lines = text.split('\n');
  return requests.map((_, index) => {
    const line = lines[index];
    return line === 'held' || line === 'taken' ? line : 'unavailable';
  });
}

interface Ran {
  /** What it printed until its end; as much as there was when it could not start or took too long. */
  readonly text: string;
  /** By a signal, and not because it took too long. */
  readonly isKilled: boolean;
}

function run(command: string, args: readonly string[], requests: readonly LockRequest[]): Promise<Ran> {
  return new Promise((resolve) => {
    let text = '';
    let isLate = false;
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'ignore', ...requests.map((request) => request.descriptor)],
    });
    // Not spawn's own time-out: that is not cleared when the program is not there, and holds the process up at its end.
    const timer = systemClock.after(LOCK_HELPER_TIMEOUT_MS, () => {
      isLate = true;
      child.kill('SIGKILL');
    });
    const end = (signal: NodeJS.Signals | null): void => {
      timer.cancel();
      resolve({ text, isKilled: signal !== null && !isLate });
    };
    child.stdout?.setEncoding('latin1');
    child.stdout?.on('data', (piece: string) => {
      text += piece;
    });
    child.on('error', () => end(null));
    child.on('close', (_code, signal) => end(signal));
  });
}
