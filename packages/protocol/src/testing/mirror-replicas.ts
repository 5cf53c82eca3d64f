// Models replicas of a mirror for tests of the copier. Each replica has a cache, a disk, an intent map and requests in flight. The test
// chooses which request is executed next, and when a replica crashes. Blocks are 512 KiB, each with one number as its content. Invariant:
// as in production, a crashed replica may lose any of its unsynced blocks, and then receives the users' writes from the replay log again.

import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { RegionSet, regionsOf } from '../mirror/region-set.ts';
import { MIRROR_REGION_BYTES } from '../wire/limits.ts';
import { STATUS } from '../wire/status.ts';

export const BLOCK_BYTES = MIRROR_REGION_BYTES / 8;

export interface UnderWay {
  readonly kind: 'read' | 'write' | 'flush' | 'map' | 'clear' | 'sums' | 'user-write' | 'join-flush';
  readonly begin: number;
  readonly end: number;
  execute(): number;
  done(status: number): void;
}

export interface UserWrite {
  readonly block: number;
  readonly value: number;
  readonly unanswered: Set<string>;
  isGranted: boolean;
  isOver: boolean;
  lock: { release(): void } | null;
}

export class SimReplica {
  readonly identity: string;
  cache: number[];
  disk: number[];
  map = new RegionSet();
  session = 0;
  life = 0;
  isUp = true;
  /** Size of the replica when it was opened last. */
  foundBytes = 0;
  /** Tick at which the last answered FLUSH of the current session and incarnation was submitted. */
  flushed = 0;
  /** Blocks for which no checksum can be computed, because their first bytes cannot be read. */
  badBlocks: number[] = [];
  /** Unflushed writes of users that were answered in this session. */
  log = new Map<number, number>();
  queue: UnderWay[] = [];

  constructor(identity: string, blocks: number) {
    this.identity = identity;
    this.cache = Array.from({ length: blocks }, () => 1);
    this.disk = [...this.cache];
    this.open();
  }

  open(): void {
    this.isUp = true;
    this.foundBytes = this.cache.length * BLOCK_BYTES;
  }

  get tenure(): string | null {
    return this.isUp ? `${this.session} ${this.life}` : null;
  }

  isReadable(beginBytes: number, endBytes: number): boolean {
    return !this.badBlocks.some((block) => beginBytes <= block * BLOCK_BYTES && block * BLOCK_BYTES < endBytes);
  }

  write(block: number, value: number): void {
    this.map.add(Math.floor((block * BLOCK_BYTES) / MIRROR_REGION_BYTES));
    this.cache[block] = value;
  }

  /** Grows the replica. The new blocks have the content of blocks that were never written. */
  grow(blocks: number): void {
    const regions = regionsOf(this.cache.length * BLOCK_BYTES);
    for (let region = regions; region < regionsOf(blocks * BLOCK_BYTES); region++) this.map.add(region);
    while (this.cache.length < blocks) this.cache.push(1);
    while (this.disk.length < blocks) this.disk.push(1);
  }

  flush(): void {
    this.disk = [...this.cache];
    this.log.clear();
  }

  /**
   * Simulates a machine that crashes and returns. The client then replays the log of users' writes, and sends the requests in flight again.
   */
  crash(random: SeededRandom): void {
    this.life++;
    this.session++;
    for (let block = 0; block < this.cache.length; block++) {
      if (random.chance(0.5)) this.disk[block] = this.cache[block]!;
      this.cache[block] = this.disk[block]!;
    }
    for (const [block, value] of this.log) this.write(block, value);
  }

  /** Simulates a power failure while the replica has no session. No client therefore replays the lost writes. */
  losePower(random: SeededRandom): void {
    this.life++;
    for (let block = 0; block < this.cache.length; block++) {
      if (random.chance(0.5)) this.disk[block] = this.cache[block]!;
      this.cache[block] = this.disk[block]!;
    }
  }

  /** Ends the session for good. Each unanswered request either was executed or will never be executed. */
  giveUp(random: SeededRandom): void {
    this.isUp = false;
    this.session++;
    this.log.clear();
    const queue = this.queue.splice(0);
    for (const request of queue) if (random.chance(0.5)) request.execute();
    for (const request of queue) request.done(STATUS.OUTCOME_UNKNOWN);
  }

  /** Executes and answers one request. Requests that overlap an earlier change wait. */
  step(random: SeededRandom): void {
    if (!this.isUp || this.queue.length === 0) return;
    const index = random.int(0, this.queue.length - 1);
    const request = this.queue[index]!;
    const isChange = request.kind === 'write' || request.kind === 'user-write';
    const isBehind = (other: UnderWay): boolean =>
      isChange && (other.kind === 'write' || other.kind === 'user-write') && other.begin < request.end && request.begin < other.end;
    if (this.queue.slice(0, index).some(isBehind)) return;
    this.queue.splice(index, 1);
    request.done(request.execute());
  }
}

interface Held {
  readonly begin: number;
  readonly end: number;
  readonly isExclusive: boolean;
  isGranted: boolean;
  granted(): void;
}

/** Grants locks in order of arrival. A shared lock excludes changes, and an exclusive lock excludes everything. Positions are in blocks. */
export class SimLocks {
  private entries: Held[] = [];

  take(begin: number, end: number, isExclusive: boolean, granted: () => void): { release(): void } {
    const entry: Held = { begin, end, isExclusive, isGranted: false, granted };
    this.entries.push(entry);
    this.grant();
    return {
      release: () => {
        this.entries = this.entries.filter((other) => other !== entry);
        this.grant();
      },
    };
  }

  private grant(): void {
    for (let index = 0; index < this.entries.length; index++) {
      const entry = this.entries[index]!;
      if (entry.isGranted || this.entries.slice(0, index).some((before) => conflicts(before, entry))) continue;
      entry.isGranted = true;
      entry.granted();
      index = -1;
    }
  }
}

function conflicts(some: Held, other: Held): boolean {
  return (some.isExclusive || other.isExclusive) && some.begin < other.end && other.begin < some.end;
}
