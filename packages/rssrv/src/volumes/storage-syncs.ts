// Syncs volumes for the listener. Each sync runs in its own short-lived process, which inherits the listener's descriptor. Through the
// inherited descriptor, the process gets every write-back error that the kernel has not yet reported to the listener. A sync that hangs
// blocks only its own process, not a thread of the listener. Invariants: a volume has at most one sync at a time. The result of a sync goes
// to the caller, or to `failedLate` if the sync fails after the time-out.

import { type ChildProcess, spawn } from 'node:child_process';
import type { FileHandle } from 'node:fs/promises';
import { killChild } from '@rsio/base/lib/kill-child';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { SPARE_STORAGE_SYNCS_MAX, STORAGE_SYNCS_MAX, STORAGE_SYNC_WAIT_MS } from '../machine/limits.ts';
import { helperFile } from '../machine/helper-files.ts';

/** A file handle. The `fd` of a closed handle is -1. */
export type SyncedFile = Pick<FileHandle, 'fd'>;

/**
 * `needed`: a request waits for the sync. `spare`: no request waits for the sync, and the sync begins only if few syncs are in
 * progress.
 */
export type SyncKind = 'needed' | 'spare';

interface Running {
  readonly child: ChildProcess;
  /** Resolves when the sync has ended, whether it succeeded or failed. */
  readonly ended: Promise<void>;
}

const ERRNO_CHARACTERS_MAX = 32;

const SYNC_COMMAND: readonly string[] = [process.execPath, '--title=rssrv: sync', helperFile('sync.cjs')];

export class StorageSyncs {
  private readonly clock: Clock;
  private readonly failedLate: (volumeId: string) => void;
  private readonly command: readonly string[];
  private readonly running = new Map<string, Running>();

  /**
   * `failedLate`: see VolumePorts.syncFailedLate. `command`: the program, with its arguments, that syncs the descriptors from 3 on. The number of descriptors is appended as the
   * last argument. On failure, the program prints the errno name and exits with status 1.
   */
  constructor(clock: Clock, failedLate: (volumeId: string) => void, command: readonly string[] = SYNC_COMMAND) {
    this.clock = clock;
    this.failedLate = failedLate;
    this.command = command;
  }

  /**
   * Resolves when all earlier writes to the volume are durable. If the storage reports an error, rejects with the errno in `code`. If the
   * storage does not answer, or too many syncs are running, rejects with E_TIMEOUT. A sync that has started continues after the time-out.
   * `files`: all files of the volume. If a file was closed while this sync waited for an earlier sync, rejects with EBADF in `code`,
   * because its descriptor number may now belong to another file.
   */
  sync(volumeId: string, kind: SyncKind, ...files: readonly SyncedFile[]): Promise<void> {
    return new Promise((resolve, reject) => {
      let isLate = false;
      const timer = this.clock.after(STORAGE_SYNC_WAIT_MS, () => {
        isLate = true;
        reject(late(`a sync has taken more than ${STORAGE_SYNC_WAIT_MS / 1000} s`));
      });
      const whenFree = async (): Promise<void> => {
        for (let before = this.running.get(volumeId); before !== undefined; before = this.running.get(volumeId)) await before.ended;
        if (isLate) return;
        const max = kind === 'spare' ? SPARE_STORAGE_SYNCS_MAX : STORAGE_SYNCS_MAX;
        if (this.running.size >= max) throw late(`${max} volumes are already being synced`);
        await this.begin(volumeId, files);
      };
      whenFree()
        .then(resolve, (error: Error) => {
          if (isLate) this.failedLate(volumeId);
          else reject(error);
        })
        .finally(() => timer.cancel());
    });
  }

  /** Kills the processes of all syncs in progress. A process that hangs in the kernel might not exit. */
  stop(): void {
    for (const { child } of this.running.values()) killChild(child);
  }

  private begin(volumeId: string, files: readonly SyncedFile[]): Promise<void> {
    const descriptors = files.map(({ fd }) => fd);
    if (descriptors.some((fd) => fd < 0)) return Promise.reject(closed());
    const [program = '', ...args] = this.command;
    const child = spawn(program, [...args, String(descriptors.length)], { stdio: ['ignore', 'pipe', 'ignore', ...descriptors] });
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
        // If the process was killed, an error that the kernel reported to the process may be lost. The sync therefore counts as failed.
        else reject(Object.assign(new Error(`The sync ended with ${errno || (signal ?? `code ${code}`)}`), { code: errno || 'EIO' }));
      });
    });
  }
}

function closed(): Error {
  return Object.assign(new Error('The volume was closed before its sync began'), { code: 'EBADF' });
}

function late(what: string): RsError {
  return new RsError('E_TIMEOUT', `Its storage does not answer: ${what}`);
}
