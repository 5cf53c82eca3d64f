// The listener's syncs of volumes, each in a short-lived process that inherits the listener's descriptor: that is the same open file to
// the kernel, so the process hears of every write-back error that this descriptor has not reported yet. A sync that hangs keeps its own
// process, and no thread of the listener, which must go on serving the other volumes and must be able to end.
// Invariant: one volume has one sync under way at most, and what it comes to is told to somebody: to who waits, or to `failedLate`.

import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock } from '@rsio/common/lib/clock';
import { RsError } from '@rsio/common/lib/errors';
import { STORAGE_SYNCS_MAX, STORAGE_SYNC_WAIT_MS } from '../sys/limits.ts';
import { helperFile } from '../sys/helper-files.ts';

export interface StorageSyncEvents {
  /** A sync failed for which nobody waits any more: what was written to the volume may be lost. */
  failedLate(volumeId: string): void;
}

interface Running {
  readonly child: ChildProcess;
  /** Resolves whatever it comes to. */
  readonly ended: Promise<void>;
}

const ERRNO_CHARACTERS_MAX = 32;

const SYNC_COMMAND: readonly string[] = [process.execPath, '--title=rssrv: sync', helperFile('sync.cjs')];

export class StorageSyncs {
  private readonly clock: Clock;
  private readonly events: StorageSyncEvents;
  private readonly command: readonly string[];
  /** By volume id. */
  private readonly running = new Map<string, Running>();

  /** `command`: a program and its arguments; it syncs descriptor 3, prints an errno's name when that fails, and exits with 1 then. */
  constructor(clock: Clock, events: StorageSyncEvents, command: readonly string[] = SYNC_COMMAND) {
    this.clock = clock;
    this.events = events;
    this.command = command;
  }

  /**
   * Resolves when what was written before is durable. Rejects with an errno in `code` when the storage reports an error, and with
   * E_TIMEOUT when it does not answer: a sync that was begun goes on then, and an error comes to `failedLate`.
   */
  sync(volumeId: string, descriptor: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let isLate = false;
      const timer = this.clock.after(STORAGE_SYNC_WAIT_MS, () => {
        isLate = true;
        reject(late(`it has not answered a sync for ${STORAGE_SYNC_WAIT_MS / 1000} s`));
      });
      const whenFree = async (): Promise<void> => {
        for (let before = this.running.get(volumeId); before !== undefined; before = this.running.get(volumeId)) await before.ended;
        if (isLate) return;
        if (this.running.size >= STORAGE_SYNCS_MAX) throw late(`${STORAGE_SYNCS_MAX} volumes are being synced already`);
        await this.begin(volumeId, descriptor);
      };
      whenFree()
        .then(resolve, (error: Error) => {
          if (isLate) this.events.failedLate(volumeId);
          else reject(error);
        })
        .finally(() => timer.cancel());
    });
  }

  /** Ends what hangs, as far as the kernel lets it: nobody is told of it any more. */
  stop(): void {
    for (const { child } of this.running.values()) child.kill('SIGKILL');
  }

  private begin(volumeId: string, descriptor: number): Promise<void> {
    const [program = '', ...args] = this.command;
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore', descriptor] });
    const outcome = this.outcomeOf(child).finally(() => this.running.delete(volumeId));
    this.running.set(volumeId, { child, ended: outcome.catch(() => undefined) });
    return outcome;
  }

  private outcomeOf(child: ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      let errno = '';
      child.stdout?.setEncoding('latin1');
      child.stdout?.on('data', (piece: string) => {
        errno = (errno + piece).slice(0, ERRNO_CHARACTERS_MAX);
      });
      child.on('error', (error) => reject(error));
      child.on('close', (code, signal) => {
        if (code === 0) resolve();
        // What killed it may have taken the kernel's report with it.
        else reject(Object.assign(new Error(`The sync ended with ${errno || (signal ?? `code ${code}`)}`), { code: errno || 'EIO' }));
      });
    });
  }
}

function late(what: string): RsError {
  return new RsError('E_TIMEOUT', `Its storage is slow or hangs: ${what}`);
}
