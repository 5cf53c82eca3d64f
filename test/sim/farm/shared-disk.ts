// The shared storage of a simulated farm: the record with the notes, the clients with their fences, and the disk with the blocks of all
// volumes and the ledger. Each call is a message, which the storage executes later, perhaps only after the machine has lost and regained
// its link. Invariant: the storage executes no write of a fenced client, not even one that was under way. It is a breach if an
// earlier owner writes after a later one has mounted the file system, or if two clients have it mounted.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { Sight } from '@rsio/rssrv/farm/engine';
import { type FarmRecord, firstRecord, type Note } from '@rsio/rssrv/farm/farm-record';
import type { SimClock, SimProcess } from '../base/sim-clock.ts';

/** A client of the storage, as the storage knows it. */
export interface DiskClient {
  readonly name: string;
  readonly generation: number;
}

/** A machine, as its link to the storage sees it. */
export interface LinkedMachine {
  /** Whether the machine is cut off from the storage. */
  isCutOff: boolean;
  /** What waits for the end of the cut. */
  readonly held: (() => void)[];
}

export interface DiskShape {
  /** Longest time in ms of a message in one direction, and of a late message. */
  readonly wayMs: number;
  readonly lateMs: number;
  readonly lateChance: number;
}

/** Chance that the storage still gets a message that a cut has held back, although the process of its sender was killed. */
const STRAY_CHANCE = 0.5;

export class SharedDisk {
  record: FarmRecord | null;
  readonly notes = new Map<string, Note>();
  readonly fenced = new Set<string>();
  /** Until this time, no fence is proven. */
  fencesFailUntilMs = 0;
  ledger: string;
  readonly breaches: string[] = [];
  /** Number of writes that a fence has refused, of takes by force, and of takes after a clean end. */
  refusals = 0;
  forcedTakes = 0;
  cleanTakes = 0;
  private readonly blocks = new Map<string, Buffer>();
  private readonly clock: SimClock;
  private readonly random: SeededRandom;
  private readonly shape: DiskShape;
  private names = 0;
  /** The highest generation that has mounted the file system, and the clients that have it mounted. */
  private mountedBy = 0;
  private readonly mounted = new Set<string>();

  constructor(clock: SimClock, random: SeededRandom, shape: DiskShape, owners: readonly string[], ledger: string) {
    this.clock = clock;
    this.random = random;
    this.shape = shape;
    this.record = firstRecord(owners, 0);
    this.ledger = ledger;
  }

  addVolume(id: string, sectors: number): void {
    this.blocks.set(id, Buffer.alloc(sectors * SECTOR_BYTES));
  }

  blocksOf(id: string): Buffer {
    return this.blocks.get(id)!;
  }

  /**
   * Sends a message from a machine. The storage calls `execute` when the message arrives; `done` gets the result in `process`, if that still
   * runs then.
   */
  send<T>(machine: LinkedMachine, process: SimProcess, execute: () => T, done: (result: T) => void): void {
    const back = (result: T): void => {
      if (machine.isCutOff) machine.held.push(() => this.clock.after(this.wayMs(), () => back(result)));
      else process.after(0, () => done(result));
    };
    const arrive = (): void => {
      if (machine.isCutOff) {
        machine.held.push(() => {
          if (!process.isKilled || this.random.chance(STRAY_CHANCE)) this.clock.after(this.wayMs(), arrive);
        });
        return;
      }
      const result = execute();
      this.clock.after(this.wayMs(), () => back(result));
    };
    this.clock.after(this.wayMs(), arrive);
  }

  private wayMs(): number {
    const { random, shape } = this;
    return random.unit() * (random.chance(shape.lateChance) ? shape.lateMs * random.unit() : shape.wayMs);
  }

  // --- What the storage executes

  look(): Sight {
    return { record: this.record, notes: new Map(this.notes) };
  }

  swap(seen: FarmRecord | null, next: FarmRecord): boolean {
    if ((this.record?.version ?? 0) !== (seen?.version ?? 0)) return false;
    if (next.state === 'serving' && this.record?.state === 'taking') {
      if (next.life === next.generation) this.forcedTakes++;
      else this.cleanTakes++;
    }
    this.record = next;
    return true;
  }

  newClient(generation: number): DiskClient {
    return { name: `client-${this.names++}`, generation };
  }

  /** Returns whether the fence is proven. */
  fence(name: string): boolean {
    if (this.clock.monotonicMs() < this.fencesFailUntilMs) return false;
    this.fenced.add(name);
    this.mounted.delete(name);
    return true;
  }

  /** Reads a range into `target`, at its beginning. Returns false if the client is fenced. */
  read({ name }: DiskClient, id: string, sector: number, target: Buffer): boolean {
    if (this.fenced.has(name)) return false;
    this.blocksOf(id).copy(target, 0, sector * SECTOR_BYTES, sector * SECTOR_BYTES + target.length);
    return true;
  }

  /** Returns false if the client is fenced. */
  write(client: DiskClient, id: string, sector: number, source: Buffer): boolean {
    if (!this.mayWrite(client)) return false;
    source.copy(this.blocksOf(id), sector * SECTOR_BYTES);
    return true;
  }

  /** Replaces the ledger. If `text` is null, only writes to the log of the file system. Returns false if the client is fenced. */
  writeLedger(client: DiskClient, text: string | null): boolean {
    if (!this.mayWrite(client)) return false;
    if (text !== null) this.ledger = text;
    return true;
  }

  /** Returns the ledger as the mount finds it; null if the client is fenced. */
  mount(client: DiskClient): string | null {
    if (!this.mayWrite(client)) return null;
    for (const other of this.mounted) this.breaches.push(`F4: ${client.name} mounts the file system, and ${other} has it mounted`);
    this.mounted.add(client.name);
    this.mountedBy = Math.max(this.mountedBy, client.generation);
    return this.ledger;
  }

  /** The machine of the client has unmounted the file system, or has ended. */
  unmounted({ name }: DiskClient): void {
    this.mounted.delete(name);
  }

  private mayWrite({ name, generation }: DiskClient): boolean {
    if (this.fenced.has(name)) {
      this.refusals++;
      return false;
    }
    if (generation < this.mountedBy)
      this.breaches.push(`F4: ${name} of generation ${generation} writes after generation ${this.mountedBy} has mounted the file system`);
    return true;
  }
}
