// Simulated storage, which outlives the processes that open it: a cache over a disk that may be slow, full or failing for a while.
// Processes use the storage through sim-backend.ts. The storage checks two duties of server processes: no two overlapping changes run at
// the same time (O1), and no operation runs after its process has ended. The storage notifies the oracle of each change. The oracle judges
// that each write executes only once.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { type Descriptor, SimCache, type WriteBackError } from './sim-cache.ts';
import type { SimClock, SimProcess } from '../base/sim-clock.ts';

/** The longest time until a late operation takes effect. */
export const LATE_MAX_MS = 1500;

export interface StorageShape {
  /** Share of operations that run at once. */
  readonly fast: number;
  /** `effectMs`: longest time until an operation takes effect. `endMs`: longest time from the effect of an operation to its end. */
  readonly effectMs: number;
  readonly endMs: number;
  /**
   * Of the operations that do not run at once, this share takes far longer, as on a disk. Late copies of a request can therefore arrive
   * while the request still executes.
   */
  readonly lateChance: number;
}

/** The kind of operations that fail now. With `flush`, writes with FUA also fail to reach the disk. */
export type Fault = 'none' | 'read' | 'write' | 'flush' | 'full';

export interface SectorRange {
  readonly from: number;
  readonly to: number;
}

/** Is notified of each change that took effect. */
export interface ExecutionWatch {
  executes(process: number, firstSector: number, content: Buffer, positionBytes: number, lengthBytes: number, incarnation: number): void;
  /** A change was refused for lack of space, perhaps after its first part took effect. */
  hasNoRoom?(firstSector: number, lengthBytes: number): void;
}

/** Is notified when an operation starts and when it takes effect, with the epoch of its hold. */
export interface HoldWatch {
  acts(epoch: number): void;
}

export interface Opening {
  readonly process: SimProcess;
}

/** The process that opens the storage, with its client and hold. */
export interface Opener {
  readonly node: string;
  /** Number of the process; later processes have larger numbers. */
  readonly processNumber: number;
  /** Number that orders the successive sessions of a node that have had the storage open. */
  readonly period: number;
  readonly epoch: number;
  /** Incarnation of the storage when the handle was granted. */
  readonly incarnation: number;
}

const FAULT_CHANCE = 0.5;
/**
 * For a while, reads still return the new content of lost sectors. After at most EVICT_MAX_MS, half of the lost sectors are evicted, and
 * the other half later.
 */
const EVICT_MAX_MS = 3000;
const EVICT_LATE_MS = 10_000;

export class SimStorage {
  readonly cache: SimCache;
  readonly breaches: string[] = [];
  readonly changing = new Set<SectorRange>();
  readonly random: SeededRandom;
  readonly shape: StorageShape;
  /** Time at which the last successful sync began; -1: no sync has succeeded. */
  syncedMs = -1;
  fault: Fault = 'none';
  /** Time at which an operation last failed; -1: no operation has failed. */
  failedMs = -1;
  slowFactor = 1;
  readonly openings = new Set<Opening>();
  /** `writeBackErrors`: number of failed write-backs. `sectorsForgotten`: number of sectors that these write-backs have lost. */
  writeBackErrors = 0;
  sectorsForgotten = 0;
  /** For each node: number of the newest process that has done an operation. */
  private readonly newestPeriod = new Map<string, number>();
  watch: ExecutionWatch | null = null;
  holds: HoldWatch | null = null;
  private readonly clock: SimClock;
  private troubles = 0;

  constructor(sectors: number, shape: StorageShape, random: SeededRandom, clock: SimClock) {
    this.cache = new SimCache(sectors, random);
    this.shape = shape;
    this.random = random;
    this.clock = clock;
  }

  get content(): Buffer {
    return this.cache.content;
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

  /**
   * Judges an operation of a process. When the process of a later session of the node acts, the process of the earlier session must have
   * ended and must no longer act (S9). No process acts under a lost hold (H2).
   */
  touchedBy({ node, period, epoch }: Opener): void {
    const newest = this.newestPeriod.get(node) ?? 0;
    if (period < newest) this.breaches.push(`S9: process ${period} works on, after process ${newest}`);
    this.newestPeriod.set(node, Math.max(period, newest));
    this.holds?.acts(epoch);
  }

  begin(range: SectorRange): void {
    for (const other of this.changing) {
      if (other.from < range.to && range.from < other.to)
        this.breaches.push(`O1: changes of sectors ${range.from}..${range.to} and ${other.from}..${other.to} overlap in time`);
    }
    this.changing.add(range);
  }

  /** A sync takes effect; returns the error that its descriptor gets. */
  syncs(descriptor: Descriptor, beganMs: number): WriteBackError | null {
    if (this.strikes('flush')) this.writeBackFails();
    else this.cache.writeBack();
    const error = this.cache.tell(descriptor);
    if (error === null) this.syncedMs = Math.max(this.syncedMs, beganMs);
    return error;
  }

  /**
   * Writes these sectors, which were just changed, through to the disk. Returns an error of write-back that this descriptor has not got
   * yet; the error may concern other sectors.
   */
  writesThrough(descriptor: Descriptor, { from, to }: SectorRange): WriteBackError | null {
    if (this.strikes('flush') || this.strikes('write')) this.lost(this.cache.writeBackFails(from, to - from));
    else this.cache.writeThrough(from, to - from);
    return this.cache.tell(descriptor);
  }

  /**
   * Clones these sectors: writes them back, and copies the content of the disk to `target`. Returns false if the write-back failed. The
   * clone does not detect that an earlier write-back failed.
   */
  clones(firstSector: number, sectors: number, target: Buffer): boolean {
    const fails = this.strikes('flush') || this.strikes('write');
    if (fails) this.lost(this.cache.writeBackFails(firstSector, sectors));
    else this.cache.writeBack(firstSector, sectors);
    this.cache.disk.copy(target, firstSector * SECTOR_BYTES, firstSector * SECTOR_BYTES, (firstSector + sectors) * SECTOR_BYTES);
    return !fails;
  }

  writeBackFails(): void {
    this.lost(this.cache.writeBackFails());
  }

  /** Syncs the storage in a process that serves no client. If `done` gets no error, all earlier writes are durable. */
  sync(process: SimProcess, descriptor: Descriptor, done: (error: WriteBackError | null) => void): void {
    const beganMs = process.monotonicMs();
    process.after(this.random.unit() * this.shape.effectMs * this.slowFactor, () => done(this.syncs(descriptor, beganMs)));
  }

  /** The machine has crashed. */
  crashed(): void {
    this.cache.crashed();
  }

  /** Replaces the content with `source`, or with zeros if `source` is null. */
  change({ processNumber, incarnation }: Opener, positionBytes: number, lengthBytes: number, source: Buffer | null, offset: number): void {
    this.cache.change(positionBytes, lengthBytes, source, offset);
    if (source !== null)
      this.watch?.executes(processNumber, positionBytes / SECTOR_BYTES, this.content, positionBytes, lengthBytes, incarnation);
  }

  /** Returns the status with which a read or a change ends if it ends now. */
  outcome(kind: 'read' | 'change', nowMs: number): Status {
    const fails = kind === 'read' ? this.strikes('read') : this.strikes('write') || this.strikes('full');
    if (!fails) return STATUS.OK;
    this.failedMs = nowMs;
    return this.fault === 'full' ? STATUS.NO_SPACE : STATUS.IO_ERROR;
  }

  private strikes(fault: Fault): boolean {
    return this.fault === fault && this.random.chance(FAULT_CHANCE);
  }

  private lost(sectors: number): void {
    this.writeBackErrors++;
    this.sectorsForgotten += sectors;
    if (sectors === 0) return;
    const { random, clock } = this;
    const firstMs = random.unit() * random.unit() * EVICT_MAX_MS;
    clock.after(firstMs, () => this.cache.evict(0.5));
    clock.after(firstMs + random.unit() * EVICT_LATE_MS, () => this.cache.evict(1));
  }
}
