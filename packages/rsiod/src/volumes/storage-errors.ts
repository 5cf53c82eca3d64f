// What is said of a volume whose server answers that its storage fails: full, or with an I/O error. Who has the volume open gets its errno,
// and a person is told once by an event and the log, not by each program in its own words. Invariants: of one kind there is one word at once,
// then at most one for each STORAGE_ERRORS_LOG_MS; it is over only when the same kind of I/O has succeeded since.

import type { Clock, Timer } from '@rsio/common/lib/clock';
import { STORAGE_ERRORS_LOG_MS } from '@rsio/common/log/limits';
import { STATUS } from '@rsio/protocol/wire/status';
import type { VolumeOp } from './frontend-volume.ts';

export type StorageWord = 'storage-fails' | 'storage-fails-on' | 'storage-works';

/** Those that say something of the storage; the others are about the request, the session or the holder. */
const OF_STORAGE: ReadonlySet<number> = new Set([STATUS.IO_ERROR, STATUS.NO_SPACE, STATUS.OUT_OF_MEMORY, STATUS.VOLUME_UNAVAILABLE]);

export interface StorageFailure {
  readonly op: VolumeOp;
  readonly status: number;
  /** How often since it was last told. */
  count: number;
  /** The same kind of I/O has succeeded since the last failure. */
  hasWorked: boolean;
}

export class StorageErrors {
  /** Looked at for each I/O that succeeds. */
  isFailing = false;
  /** What the last word was about; null: nothing has failed. */
  told: StorageFailure | null = null;
  private readonly clock: Clock;
  private readonly said: (word: StorageWord) => void;
  /** At most one for each operation and status. */
  private readonly failures = new Map<string, StorageFailure>();
  private timer: Timer | null = null;

  constructor(clock: Clock, said: (word: StorageWord) => void) {
    this.clock = clock;
    this.said = said;
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
    this.say('storage-fails', failure);
  }

  /** Only needed while something is failing. */
  worked(op: VolumeOp): void {
    for (const failure of this.failures.values()) {
      if (failure.op !== op) continue;
      failure.hasWorked = true;
      this.lookLater();
    }
  }

  /** The volume is over. */
  stop(): void {
    this.timer?.cancel();
    this.timer = null;
    this.failures.clear();
    this.isFailing = false;
  }

  private look(): void {
    this.timer = null;
    for (const [key, failure] of this.failures) {
      // While nothing is asked of it there is nothing to say.
      if (failure.count > 0) this.lookLater();
      if (failure.count > 0) this.say('storage-fails-on', failure);
      else if (failure.hasWorked) {
        this.failures.delete(key);
        this.say('storage-works', failure);
      }
      failure.count = 0;
    }
    this.isFailing = this.failures.size > 0;
  }

  private lookLater(): void {
    this.timer ??= this.clock.after(STORAGE_ERRORS_LOG_MS, () => this.look());
  }

  private say(word: StorageWord, failure: StorageFailure): void {
    this.told = failure;
    this.said(word);
  }
}
