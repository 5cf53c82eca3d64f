// Reports failures of a server's storage, such as full storage or an I/O error. Many failures produce only one event and one log line.
// Invariants: The first failure of a kind is reported at once, and later failures at most once per STORAGE_ERRORS_LOG_MS. A failure ends
// only after the same kind of I/O has succeeded again.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import { STORAGE_ERRORS_LOG_MS } from '@rsio/base/log/limits';
import { STATUS } from '@rsio/protocol/wire/status';
import type { VolumeOp } from './frontend-volume.ts';

export type StorageErrorEvent = 'storage-fails' | 'storage-fails-on' | 'storage-works';

/** Statuses which mean that the storage has failed, or that an administrator has stopped the volume. */
const OF_STORAGE: ReadonlySet<number> = new Set([
  ...[STATUS.IO_ERROR, STATUS.NO_SPACE, STATUS.OUT_OF_MEMORY, STATUS.VOLUME_UNAVAILABLE, STATUS.STOPPED],
]);

export interface StorageFailure {
  readonly op: VolumeOp;
  readonly status: number;
  count: number;
  /** True if the same kind of I/O has succeeded since the last failure. */
  hasWorked: boolean;
}

export class StorageFailures {
  isFailing = false;
  reported: StorageFailure | null = null;
  private readonly clock: Clock;
  private readonly notify: (event: StorageErrorEvent) => void;
  private readonly failures = new Map<string, StorageFailure>();
  private timer: Timer | null = null;

  constructor(clock: Clock, notify: (event: StorageErrorEvent) => void) {
    this.clock = clock;
    this.notify = notify;
  }

  failed(op: VolumeOp, status: number): void {
    if (!OF_STORAGE.has(status)) return;
    const known = this.failures.get(`${op} ${status}`);
    if (known !== undefined) {
      known.count++;
      known.hasWorked = false;
      this.lookLater();
      return;
    }
    const failure = { op, status, count: 0, hasWorked: false };
    this.failures.set(`${op} ${status}`, failure);
    this.isFailing = true;
    this.lookLater();
    this.report('storage-fails', failure);
  }

  /** Must be called after each successful I/O while `isFailing` is true. */
  worked(op: VolumeOp): void {
    for (const failure of this.failures.values()) {
      if (failure.op !== op) continue;
      failure.hasWorked = true;
      this.lookLater();
    }
  }

  /** Stops reporting failures, because the attachment has ended. */
  stop(): void {
    this.timer?.cancel();
    this.timer = null;
    this.failures.clear();
    this.isFailing = false;
  }

  private look(): void {
    this.timer = null;
    for (const [key, failure] of this.failures) {
      // If nothing has failed since the last report, no timer is needed; the next failure or success of this kind of I/O starts the timer.
      if (failure.count > 0) this.lookLater();
      if (failure.count > 0) this.report('storage-fails-on', failure);
      else if (failure.hasWorked) {
        this.failures.delete(key);
        this.report('storage-works', failure);
      }
      failure.count = 0;
    }
    this.isFailing = this.failures.size > 0;
  }

  private lookLater(): void {
    this.timer ??= this.clock.after(STORAGE_ERRORS_LOG_MS, () => this.look());
  }

  private report(event: StorageErrorEvent, failure: StorageFailure): void {
    this.reported = failure;
    this.notify(event);
  }
}
