// The backend with which one process uses simulated storage, in place of the file backend. As on a disk, operations run in any order, at
// once or later, and an operation takes effect at any moment between its start and its answer. One descriptor serves writes with FUA, and
// another descriptor serves all other operations. Flushes go through the production gate. The process may be killed at any moment.
// sim-storage.ts has contents and failures.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { EXTENT } from '@rsio/protocol/wire/messages';
import { STATUS, type Status, statusOfErrno } from '@rsio/protocol/wire/status';
import { type Backend, type BackendCapabilities, type ExtentsDone, type IoDone, WOULD_WAIT } from '@rsio/rssrv/storage/io/backend';
import { FlushGate } from '@rsio/rssrv/storage/io/flush-gate';
import type { Descriptor } from './sim-cache.ts';
import type { SimProcess } from '../base/sim-clock.ts';
import { LATE_MAX_MS, type Opener, type Opening, type SectorRange, type SimStorage } from './sim-storage.ts';

export class SimBackend implements Backend, Opening {
  readonly sizeBytes: number;
  readonly capabilities: BackendCapabilities = { type: 'file', readonly: false, canDiscard: true, canZeroFast: true, canExtents: true };
  private running = 0;
  private readonly storage: SimStorage;
  readonly process: SimProcess;
  private readonly opener: Opener;
  private readonly descriptor: Descriptor;
  /** The descriptor for writes with FUA. */
  private readonly syncedDescriptor: Descriptor;
  private readonly gate: FlushGate;
  private readonly changing = new Set<SectorRange>();
  private readonly pending = new Set<() => void>();
  private whenIdle: (() => void) | null = null;

  constructor(storage: SimStorage, process: SimProcess, opener: Opener) {
    this.storage = storage;
    this.sizeBytes = storage.content.length;
    this.process = process;
    this.opener = opener;
    this.descriptor = storage.cache.open();
    this.syncedDescriptor = storage.cache.open();
    storage.openings.add(this);
    this.gate = new FlushGate(
      (end) => {
        const beganMs = process.monotonicMs();
        this.later(() => storage.syncs(this.descriptor, beganMs), end);
      },
      // Not simulated: if a process is killed before this moment, the pages are not dropped (N5 in docs/GUARANTEES.md).
      (end) => {
        storage.cache.dropPages();
        end();
      },
      () => undefined,
      (call) => void process.after(0, call),
    );
  }

  /** The process has died. Some of its operations take effect now and other operations never; no operation is answered. */
  killed(): void {
    this.storage.openings.delete(this);
    for (const effect of this.pending) {
      if (!this.storage.random.chance(0.5)) continue;
      this.storage.touchedBy(this.opener);
      effect();
    }
    this.pending.clear();
    for (const range of this.changing) this.storage.changing.delete(range);
    this.changing.clear();
  }

  tryRead(target: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    this.checkAlive();
    if (!this.goesAtOnce) return WOULD_WAIT;
    const status = this.storage.outcome('read', this.process.monotonicMs());
    if (status === STATUS.OK) this.storage.content.copy(target, offset, positionBytes, positionBytes + lengthBytes);
    return status;
  }

  tryWrite(source: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    this.checkAlive();
    if (!this.goesAtOnce) return WOULD_WAIT;
    const range = rangeOf(positionBytes, lengthBytes);
    this.storage.begin(range);
    const status = this.storage.outcome('change', this.process.monotonicMs());
    this.apply(status, positionBytes, lengthBytes, source, offset);
    this.storage.changing.delete(range);
    return status;
  }

  read(target: Buffer, offset: number, lengthBytes: number, positionBytes: number, done: IoDone): void {
    const status = this.storage.outcome('read', this.process.monotonicMs());
    this.later(() => {
      this.storage.content.copy(target, offset, positionBytes, positionBytes + lengthBytes);
      return status;
    }, this.answering(done));
  }

  write(source: Buffer, offset: number, lengthBytes: number, positionBytes: number, fua: boolean, done: IoDone): void {
    this.changeLater(positionBytes, lengthBytes, source, offset, fua, done);
  }

  flush(done: IoDone): void {
    this.checkAlive();
    this.running++;
    const answer = this.answering(done);
    this.gate.flush((status) => {
      answer(status);
      this.left();
    });
  }

  discard(positionBytes: number, lengthBytes: number, done: IoDone): void {
    this.changeLater(positionBytes, lengthBytes, null, 0, false, done);
  }

  zero(positionBytes: number, lengthBytes: number, _keepAllocated: boolean, fua: boolean, done: IoDone): void {
    this.changeLater(positionBytes, lengthBytes, null, 0, false, (status) => {
      if (status === STATUS.OK && fua) this.flush(done);
      else done(status);
    });
  }

  extents(_positionBytes: number, lengthBytes: number, done: ExtentsDone): void {
    this.later(
      () => undefined,
      () => done(STATUS.OK, [lengthBytes / SECTOR_BYTES, EXTENT.DATA]),
    );
  }

  async close(): Promise<void> {
    if (this.running > 0) {
      await new Promise<void>((resolve) => {
        this.whenIdle = resolve;
      });
    }
    this.storage.openings.delete(this);
  }

  private get goesAtOnce(): boolean {
    return this.storage.slowFactor === 1 && this.storage.random.chance(this.storage.shape.fast);
  }

  /** Applies a change. A failed change may take effect not at all, in its first part, or completely. */
  private apply(status: Status, positionBytes: number, lengthBytes: number, source: Buffer | null, offset: number): void {
    const sectors = lengthBytes / SECTOR_BYTES;
    const doneBytes = status === STATUS.OK ? lengthBytes : this.storage.random.int(0, sectors) * SECTOR_BYTES;
    if (doneBytes > 0) this.storage.change(this.opener, positionBytes, doneBytes, source, offset);
    if (status === STATUS.NO_SPACE) this.storage.watch?.hasNoRoom?.(positionBytes / SECTOR_BYTES, lengthBytes);
  }

  private changeLater(positionBytes: number, lengthBytes: number, source: Buffer | null, offset: number, fua: boolean, done: IoDone): void {
    const { storage } = this;
    const range = rangeOf(positionBytes, lengthBytes);
    storage.begin(range);
    this.changing.add(range);
    const outcome = storage.outcome('change', this.process.monotonicMs());
    const effect = (): Status => {
      this.apply(outcome, positionBytes, lengthBytes, source, offset);
      const error = fua && outcome === STATUS.OK ? storage.writesThrough(this.syncedDescriptor, range) : null;
      const status = error === null ? outcome : statusOfErrno(error);
      if (status === STATUS.NO_SPACE) storage.watch?.hasNoRoom?.(positionBytes / SECTOR_BYTES, lengthBytes);
      return status;
    };
    const answer = this.answering(done);
    this.later(effect, (status) => {
      storage.changing.delete(range);
      this.changing.delete(range);
      answer(status);
    });
  }

  private answering(done: IoDone): IoDone {
    return (status) => {
      if (status !== STATUS.OK) this.storage.failedMs = this.process.monotonicMs();
      done(status);
    };
  }

  /**
   * Runs an operation later: calls `effect` at a random time, and calls `done` with the result of `effect` when the operation ends. If the
   * process is killed first, this method calls neither function, and `killed` decides which effects still happen.
   */
  private later<T>(effect: () => T, done: (result: T) => void): void {
    this.checkAlive();
    this.running++;
    this.pending.add(effect);
    this.process.after(this.effectMs(), () => {
      this.pending.delete(effect);
      this.storage.touchedBy(this.opener);
      const result = effect();
      this.process.after(this.endMs(), () => {
        done(result);
        this.left();
      });
    });
  }

  private left(): void {
    this.running--;
    if (this.running > 0 || this.whenIdle === null) return;
    this.whenIdle();
  }

  private effectMs(): number {
    const { random, shape, slowFactor } = this.storage;
    return random.chance(shape.lateChance) ? random.unit() * LATE_MAX_MS : random.unit() * shape.effectMs * slowFactor;
  }

  private endMs(): number {
    const { random, shape, slowFactor } = this.storage;
    return random.unit() * shape.endMs * slowFactor;
  }

  private checkAlive(): void {
    if (this.process.isKilled) this.storage.breaches.push('S9: an ended process began something');
    this.storage.touchedBy(this.opener);
  }
}

function rangeOf(positionBytes: number, lengthBytes: number): SectorRange {
  return { from: positionBytes / SECTOR_BYTES, to: (positionBytes + lengthBytes) / SECTOR_BYTES };
}
