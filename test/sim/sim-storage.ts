// Simulated storage, which outlives the processes that open it: operations go at once or later, in any order, and take effect at any
// moment in between, as a disk's do; for a while it may be slow, full, or fail. It watches what a server process owes its storage: no
// two overlapping changes at one time (O1), nothing of an ended process. Once-only execution is judged by the oracle, who is told.

import { SECTOR_BYTES } from '@rsio/protocol/limits';
import type { SeededRandom } from '@rsio/protocol/testing/seeded-random';
import { EXTENT } from '@rsio/protocol/wire/messages';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { type Backend, type BackendCapabilities, type ExtentsDone, type IoDone, WOULD_WAIT } from '@rsio/rssrv/backends/backend';
import type { SimProcess } from './sim-clock.ts';

/** The longest that a late operation takes until it has its effect. */
export const LATE_MAX_MS = 1500;

export interface StorageShape {
  /** Share of operations that go at once. */
  readonly fast: number;
  /** Longest time until an operation takes effect, and from there to its end, ms. */
  readonly effectMs: number;
  readonly endMs: number;
  /** Of what does not go at once, how much takes far longer than the rest, as on any disk: so that late copies meet what is executing. */
  readonly lateChance: number;
}

/** What it does with operations while something is wrong with it. */
export type Fault = 'none' | 'read' | 'write' | 'flush' | 'full';

interface Range {
  readonly from: number;
  readonly to: number;
}

/** Who is told of each change that took effect. */
export interface ExecutionWatch {
  executes(life: number, firstSector: number, content: Buffer, positionBytes: number, lengthBytes: number): void;
}

export class SimStorage {
  readonly content: Buffer;
  readonly breaches: string[] = [];
  readonly changing = new Set<Range>();
  readonly random: SeededRandom;
  readonly shape: StorageShape;
  /** When the last sync that succeeded began; minus one: none did. */
  syncedMs = -1;
  /** Sectors changed since the last sync: one byte each. */
  private readonly dirty: Buffer;
  fault: Fault = 'none';
  /** When the last operation failed; minus one: none did. */
  failedMs = -1;
  slowFactor = 1;
  /** Of the process that did something last. */
  private newestLife = 0;
  watch: ExecutionWatch | null = null;
  /** Told before somebody who may wait for it by a promise is called. */
  promised: () => void = () => undefined;
  private troubles = 0;

  constructor(sectors: number, shape: StorageShape, random: SeededRandom) {
    this.content = Buffer.alloc(sectors * SECTOR_BYTES);
    this.dirty = Buffer.alloc(sectors);
    this.shape = shape;
    this.random = random;
  }

  get isGood(): boolean {
    return this.troubles === 0;
  }

  troubleBegins(): void {
    this.troubles++;
  }

  troubleEnds(): void {
    this.troubles--;
  }

  /** `life`: a number of the process, which grows with each. */
  open(process: SimProcess, life: number): SimBackend {
    return new SimBackend(this, process, life);
  }

  /** S9: when the process of a later session has done something, that of an earlier one is over. */
  touchedBy(life: number): void {
    if (life < this.newestLife) this.breaches.push(`S9: the process of life ${life} works on, after that of life ${this.newestLife}`);
    this.newestLife = Math.max(life, this.newestLife);
  }

  begin(range: Range): void {
    for (const other of this.changing) {
      if (other.from < range.to && range.from < other.to)
        this.breaches.push(`O1: changes of sectors ${range.from}..${range.to} and ${other.from}..${other.to} overlap in time`);
    }
    this.changing.add(range);
  }

  /** A sync has succeeded. */
  synced(beganMs: number): void {
    this.syncedMs = Math.max(this.syncedMs, beganMs);
    this.dirty.fill(0);
  }

  isDirty(firstSector: number, sectors: number): boolean {
    return this.dirty.subarray(firstSector, firstSector + sectors).includes(1);
  }

  /** Content changes; `source` null: zeros; `fua`: on disk. */
  change(life: number, positionBytes: number, lengthBytes: number, source: Buffer | null, offset: number, fua: boolean): void {
    this.dirty.fill(fua ? 0 : 1, positionBytes / SECTOR_BYTES, (positionBytes + lengthBytes) / SECTOR_BYTES);
    if (source === null) this.content.fill(0, positionBytes, positionBytes + lengthBytes);
    else source.copy(this.content, positionBytes, offset, offset + lengthBytes);
    if (source !== null) this.watch?.executes(life, positionBytes / SECTOR_BYTES, this.content, positionBytes, lengthBytes);
  }

  /** What becomes of an operation of this kind now. */
  outcome(kind: 'read' | 'change' | 'flush', nowMs: number): Status {
    const fails =
      (kind === 'read' && this.fault === 'read') ||
      (kind === 'change' && (this.fault === 'write' || this.fault === 'full')) ||
      (kind === 'flush' && this.fault === 'flush');
    if (!fails || !this.random.chance(0.5)) return STATUS.OK;
    this.failedMs = nowMs;
    return this.fault === 'full' ? STATUS.NO_SPACE : STATUS.IO_ERROR;
  }
}

/** One process's opening of the storage. */
export class SimBackend implements Backend {
  readonly sizeBytes: number;
  readonly capabilities: BackendCapabilities = { type: 'memory', readonly: false, canDiscard: true, canZeroFast: true, canExtents: true };
  private running = 0;
  private readonly storage: SimStorage;
  private readonly process: SimProcess;
  private readonly life: number;
  private readonly pending = new Set<() => void>();
  private whenIdle: (() => void) | null = null;

  constructor(storage: SimStorage, process: SimProcess, life: number) {
    this.storage = storage;
    this.sizeBytes = storage.content.length;
    this.process = process;
    this.life = life;
  }

  /** The process has died: of what was begun some takes effect now, the rest never, and nobody is told. */
  killed(): void {
    for (const effect of this.pending) if (this.storage.random.chance(0.5)) effect();
    this.pending.clear();
    this.storage.changing.clear();
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
    this.apply(status, positionBytes, lengthBytes, source, offset, false);
    this.storage.changing.delete(range);
    return status;
  }

  read(target: Buffer, offset: number, lengthBytes: number, positionBytes: number, done: IoDone): void {
    const status = this.storage.outcome('read', this.process.monotonicMs());
    this.later(() => this.storage.content.copy(target, offset, positionBytes, positionBytes + lengthBytes), status, done);
  }

  write(source: Buffer, offset: number, lengthBytes: number, positionBytes: number, fua: boolean, done: IoDone): void {
    this.changeLater(positionBytes, lengthBytes, source, offset, fua, done);
  }

  flush(done: IoDone): void {
    const beganMs = this.process.monotonicMs();
    const outcome = this.storage.outcome('flush', beganMs);
    this.later(
      () => {
        if (outcome === STATUS.OK) this.storage.synced(beganMs);
      },
      outcome,
      (status) => {
        this.storage.promised();
        done(status);
      },
    );
  }

  discard(positionBytes: number, lengthBytes: number, done: IoDone): void {
    this.changeLater(positionBytes, lengthBytes, null, 0, false, done);
  }

  zero(positionBytes: number, lengthBytes: number, _keepAllocated: boolean, fua: boolean, done: IoDone): void {
    this.changeLater(positionBytes, lengthBytes, null, 0, fua, done);
  }

  extents(_positionBytes: number, lengthBytes: number, done: ExtentsDone): void {
    this.later(
      () => undefined,
      STATUS.OK,
      (status) => done(status, [lengthBytes / SECTOR_BYTES, EXTENT.DATA]),
    );
  }

  async close(): Promise<void> {
    this.storage.promised();
    if (this.running === 0) return;
    await new Promise<void>((resolve) => {
      this.whenIdle = resolve;
    });
  }

  private get goesAtOnce(): boolean {
    return this.storage.slowFactor === 1 && this.storage.random.chance(this.storage.shape.fast);
  }

  /** Of a change that fails, a first part may be there all the same. */
  private apply(status: Status, positionBytes: number, lengthBytes: number, source: Buffer | null, offset: number, fua: boolean): void {
    const sectors = lengthBytes / SECTOR_BYTES;
    const doneBytes = status === STATUS.OK ? lengthBytes : this.storage.random.int(0, sectors) * SECTOR_BYTES;
    if (doneBytes > 0) this.storage.change(this.life, positionBytes, doneBytes, source, offset, fua);
  }

  private changeLater(positionBytes: number, lengthBytes: number, source: Buffer | null, offset: number, fua: boolean, done: IoDone): void {
    const range = rangeOf(positionBytes, lengthBytes);
    this.storage.begin(range);
    const outcome = this.storage.outcome('change', this.process.monotonicMs());
    this.later(
      () => this.apply(outcome, positionBytes, lengthBytes, source, offset, fua),
      outcome,
      (status) => {
        this.storage.changing.delete(range);
        done(status);
      },
    );
  }

  /** `effect` runs at some time before the end, and `done` at the end; neither after the process was killed. */
  private later(effect: () => void, status: Status, done: IoDone): void {
    this.checkAlive();
    this.running++;
    this.pending.add(effect);
    this.process.after(this.effectMs(), () => {
      this.pending.delete(effect);
      this.storage.touchedBy(this.life);
      effect();
      this.process.after(this.endMs(), () => {
        this.running--;
        if (status !== STATUS.OK) this.storage.failedMs = this.process.monotonicMs();
        done(status);
        if (this.running > 0 || this.whenIdle === null) return;
        this.storage.promised();
        this.whenIdle();
      });
    });
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
    this.storage.touchedBy(this.life);
  }
}

function rangeOf(positionBytes: number, lengthBytes: number): Range {
  return { from: positionBytes / SECTOR_BYTES, to: (positionBytes + lengthBytes) / SECTOR_BYTES };
}
