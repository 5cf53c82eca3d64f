// Logs storage failures with volume, file, error and remedy, because the client gets only a status. Invariant: the first failure of each
// kind is logged at once. Later failures of the same kind add at most one line per STORAGE_ERRORS_LOG_MS.

import type { Clock } from '@rsio/base/lib/clock';
import { errnoRemedy } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { STORAGE_ERRORS_LOG_MS } from '@rsio/base/log/limits';
import { plural } from '@rsio/base/lib/units';
import type { ServedPart, ServedVolume } from './io/served-volume.ts';
import type { BackendOperation } from './files/backend-ports.ts';
import { SHORT_READ } from './io/positioned-io.ts';

export class StorageErrorLog {
  private readonly volume: ServedVolume;
  private readonly clock: Clock;
  private readonly log: Log;
  /**
   * For each kind of failure that was logged recently: the number of failures since then. If a kind has no entry, the next failure of that
   * kind is logged at once.
   */
  private readonly unreported = new Map<string, number>();

  constructor(volume: ServedVolume, clock: Clock, log: Log) {
    this.volume = volume;
    this.clock = clock;
    this.log = log;
  }

  /** Counts a failure. If the failure is the first of its kind, logs it at once. */
  note(operation: BackendOperation, errno: string, part?: ServedPart): void {
    const kind = part === undefined ? `${operation} ${errno}` : `${operation} ${errno} ${part.path}`;
    const count = this.unreported.get(kind);
    if (count !== undefined) {
      this.unreported.set(kind, count + 1);
      return;
    }
    const { name } = this.volume;
    const path = part?.path ?? this.volume.path;
    const what = errno === SHORT_READ ? 'it is shorter than the volume' : errno;
    this.report(`Volume ${name}: ${operation} of ${path ?? 'its storage'} failed (${what}): ${remedyOf(errno)}`);
    this.countOn(kind, operation, what);
  }

  private countOn(kind: string, operation: BackendOperation, what: string): void {
    this.unreported.set(kind, 0);
    this.clock.after(STORAGE_ERRORS_LOG_MS, () => {
      const count = this.unreported.get(kind) ?? 0;
      if (count === 0) {
        this.unreported.delete(kind);
        return;
      }
      this.report(
        `Volume ${this.volume.name}: ${operation} failed ${plural(count, 'time')} more in ${STORAGE_ERRORS_LOG_MS / 1000} s (${what})`,
      );
      this.countOn(kind, operation, what);
    });
  }

  private report(sentence: string): void {
    this.log.error(sentence, { volume: this.volume.name });
  }
}

function remedyOf(errno: string): string {
  if (errno === SHORT_READ) return 'it was truncated while rssrv served it; restore it';
  return errnoRemedy(errno) ?? "find the cause in the system's log (dmesg)";
}
