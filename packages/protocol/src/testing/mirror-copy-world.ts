// A mirror with a copier for tests: users write, replicas crash, leave and return, and an "administrator" replaces the decider. `check` is
// the oracle: replicas in sync must be equal in settled regions. A region that is in no map of a replica in sync must be equal on every
// disk, or must be set in the map of the replica that differs.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { Copier } from '../mirror/copy/copier.ts';
import { CopyBuffers } from '../mirror/copy/copy-buffers.ts';
import type { CopyView } from '../mirror/copy/copy-ports.ts';
import { TimesBudget } from '../mirror/lacks/change-times.ts';
import { Lacks } from '../mirror/lacks/lacks.ts';
import { RegionSet, regionsOf } from '../mirror/region-set.ts';
import type { ByteRange } from '../mirror/verify/differences.ts';
import type { SumsAnswer, VerifyIo } from '../mirror/verify/verifier.ts';
import { MIRROR_REGION_BYTES, MIRROR_SUM_BYTES } from '../wire/limits.ts';
import type { MirrorMapAnswer } from '../wire/mirror-messages.ts';
import { STATUS } from '../wire/status.ts';
import { KeptWrites } from './mirror-kept-writes.ts';
import { BLOCK_BYTES, SimLocks, SimReplica, type UnderWay, type UserWrite } from './mirror-replicas.ts';

type Role = 'member' | 'leaving' | 'returning' | 'joining';

const BLOCKS_PER_REGION = MIRROR_REGION_BYTES / BLOCK_BYTES;

export class MirrorCopyWorld {
  readonly clock = new FakeClock();
  readonly replicas: SimReplica[];
  readonly roles = new Map<string, Role>();
  readonly touched = new RegionSet();
  readonly unsettled = new RegionSet();
  readonly lacks: Lacks;
  readonly copier: Copier;
  readonly io: VerifyIo;
  blocks: number;
  isPending = false;
  isPaused = false;
  readonly kept = new KeptWrites();
  private isIdle = false;
  private wrong: string | null = null;
  private sizeBytes: number;
  private readonly random: SeededRandom;
  private readonly locks = new SimLocks();
  private readonly writes: UserWrite[] = [];
  private lastValue = 1;
  /** The tick that `Lacks` reads; each reading advances the tick. */
  private tick = 0;
  private readonly budget: TimesBudget;
  /** Number of regions in the budget that other mirrors use. */
  private taken = 0;
  private lastView: CopyView | null = null;
  private readonly followers: ((view: CopyView) => void)[] = [];
  /** Replicas that have caught up and that the administrator lets join later. */
  private readonly joins = new Set<string>();
  private hasBegun = false;

  constructor(random: SeededRandom, count: number, sizeBytes: number) {
    this.random = random;
    this.sizeBytes = sizeBytes;
    this.blocks = sizeBytes / BLOCK_BYTES;
    this.replicas = Array.from({ length: count }, (_, index) => new SimReplica(`r${index}`, this.blocks));
    for (const { identity } of this.replicas) this.roles.set(identity, 'member');
    this.budget = new TimesBudget(random.pick([0, 1, 2, 100]));
    this.lacks = new Lacks(this.touched, this.budget, () => ++this.tick);
    this.io = this.newIo();
    this.copier = new Copier(this.clock, this.io, new CopyBuffers(), {
      caughtUp: (identity) => this.joins.add(identity),
      fellBack: (identity) => this.unjoin(identity),
      lost: (identity, why) => {
        throw new Error(`${identity} is lost: ${why}`);
      },
      allSettled: () => {},
      readableChanged: () => {},
    });
    this.copier.checkpointBytes = random.pick([1, 6]) * 1024 * 1024;
  }

  /** Makes the client the holder. Before this call, the test has made the state that the earlier holder has left. */
  begin(isClean: boolean): void {
    this.copier.begin(isClean, this.sizeBytes);
    this.hasBegun = true;
    this.kept.begin(this.inSync(), this.blocks);
    this.tell();
  }

  /** Puts a replica out of sync. Must be called before `begin`. */
  setReturning(replica: SimReplica): void {
    this.roles.set(replica.identity, 'returning');
    replica.isUp = this.random.chance(0.5);
  }

  /** Calls `viewed` with the current view and each later view. */
  follow(viewed: (view: CopyView) => void): void {
    this.followers.push(viewed);
    if (this.lastView !== null) viewed(this.lastView);
  }

  inSync(): SimReplica[] {
    return this.replicas.filter(({ identity }) => ['member', 'leaving'].includes(this.roles.get(identity) ?? ''));
  }

  // --- events

  /** Performs one random step that is not a fault. */
  proceed(): void {
    this.random.pick(this.replicas).step(this.random);
    if (this.joins.size > 0 && this.random.chance(0.3)) this.takeJoins();
    this.clock.advance(this.random.chance(0.06) ? this.random.int(0, 6_000) : 0);
  }

  write(): void {
    const write: UserWrite = {
      block: this.random.int(0, this.blocks - 1),
      value: ++this.lastValue,
      unanswered: new Set(),
      isGranted: false,
      isOver: false,
      lock: null,
    };
    this.writes.push(write);
    const lock = this.locks.take(write.block, write.block + 1, true, () => {
      write.isGranted = true;
      this.kept.written(write.block);
      this.touched.addRange(write.block * BLOCK_BYTES, (write.block + 1) * BLOCK_BYTES);
      for (const replica of this.replicas) if (replica.isUp) this.send(write, replica);
    });
    write.lock = lock;
    this.judge(write);
  }

  /** Sends a user's FLUSH to all replicas that have a session. */
  flush(): void {
    for (const replica of this.replicas) this.enqueue(replica, 'join-flush', 0, 0, this.flushOf(replica), () => {});
  }

  /** Simulates other mirrors that take or give back memory for the times of changes. */
  squeeze(): void {
    if (this.random.chance(0.5)) {
      this.budget.giveBack(this.taken);
      this.taken = 0;
    } else if (this.budget.take()) this.taken++;
  }

  /** Abandons a write in flight, which some replicas have executed. */
  abandonWrite(): void {
    const write = this.writes.find((one) => one.isGranted);
    if (write === undefined) return;
    for (const replica of this.replicas) {
      const index = replica.queue.findIndex((one) => one.kind === 'user-write' && one.begin === write.block);
      if (index < 0) continue;
      const [request] = replica.queue.splice(index, 1);
      if (this.random.chance(0.5)) request!.execute();
    }
    this.unsettled.addRange(write.block * BLOCK_BYTES, (write.block + 1) * BLOCK_BYTES);
    this.finish(write);
    this.copier.changed();
  }

  /** Crashes a replica, most often one that returns or joins. The client may notice the crash late. */
  crash(): void {
    this.kept.failed();
    const others = this.replicas.filter(({ identity }) => this.roles.get(identity) !== 'member');
    const replica = this.random.pick(others.length > 0 && this.random.chance(0.6) ? others : this.replicas);
    if (replica.isUp) replica.crash(this.random);
    if (this.random.chance(0.5)) this.copier.changed();
  }

  loseSession(): void {
    this.random.pick(this.replicas).session++;
    this.copier.changed();
  }

  remove(): void {
    this.kept.failed();
    const members = this.inSync().filter(({ identity }) => this.roles.get(identity) === 'member');
    const victim = this.random.pick(this.replicas);
    const role = this.roles.get(victim.identity);
    if (role === 'leaving' || (role === 'member' && (members.length < 2 || this.isPending))) return;
    if (role === 'member' && victim.isUp) this.lacks.left(victim.identity, victim.flushed, String(victim.life));
    victim.giveUp(this.random);
    if (this.random.chance(0.5)) victim.losePower(this.random);
    this.roles.set(victim.identity, role === 'member' ? 'leaving' : 'returning');
    for (const write of [...this.writes]) {
      write.unanswered.delete(victim.identity);
      this.judge(write);
    }
    this.tell();
  }

  /** Completes the removal of a replica, or gives a removed replica a session. */
  settleRoles(): void {
    for (const replica of this.replicas) {
      const role = this.roles.get(replica.identity);
      if (role === 'leaving') this.roles.set(replica.identity, 'returning');
      else if (role === 'returning' && !replica.isUp) {
        replica.open();
        for (const write of this.writes) if (write.isGranted && !write.isOver) this.send(write, replica);
      }
    }
    this.tell();
  }

  setPending(isPending: boolean): void {
    this.isPending = isPending;
    this.tell();
  }

  /** Grows every replica, then the mirror. The new part is zero on all replicas, and its regions are set in all maps. */
  grow(blocks: number): void {
    this.sizeBytes += blocks * BLOCK_BYTES;
    this.blocks += blocks;
    for (const replica of this.replicas) replica.grow(this.blocks);
    this.tell();
  }

  /**
   * Pauses the copier, as the client does before a detach. The copier must report that it is idle exactly when none of its requests is in
   * flight.
   */
  pause(): void {
    this.isPaused = true;
    this.copier.pause(() => {
      const left = this.replicas.flatMap(({ queue }) => queue).filter(({ kind }) => kind !== 'user-write' && kind !== 'join-flush');
      if (left.length > 0) this.wrong = `the copier says that it is idle, but has ${left[0]!.kind} under way`;
      this.isIdle = true;
    });
  }

  resume(): void {
    this.isPaused = this.isIdle = false;
    this.copier.resume();
  }

  hurry(): void {
    this.copier.hurry(this.random.int(0, regionsOf(this.sizeBytes) - 1));
  }

  /** Ends all faults. Returns true if all replicas are in sync afterwards, and all regions are settled and cleared in all maps. */
  quiesce(): boolean {
    if (this.isPaused) this.resume();
    this.setPending(false);
    for (let round = 0; round < 40; round++) {
      this.settleRoles();
      this.takeJoins();
      for (let step = 0; step < 60; step++) for (const replica of this.replicas) replica.step(this.random);
      this.clock.advance(1_500);
      const isQuiet = this.writes.length === 0 && this.replicas.every(({ queue, map }) => queue.length === 0 && map.count === 0);
      if (isQuiet && this.inSync().length === this.replicas.length && this.copier.isSettled && this.touched.count === 0) return true;
    }
    return false;
  }

  // --- the oracle

  /** Returns the violated rule; null if there is none. */
  check(): string | null {
    if (this.wrong !== null) return this.wrong;
    if (this.isIdle && this.replicas.some(({ queue }) => queue.some(({ kind }) => kind === 'write')))
      return 'an idle copier has begun a copy';
    if (!this.hasBegun) return null;
    for (let block = 0; block < this.blocks; block++) {
      const wrong = this.wrongBlock(block);
      if (wrong !== null) return wrong;
    }
    return null;
  }

  /** Returns the rule that this block violates; null if there is none. */
  wrongBlock(block: number): string | null {
    const members = this.inSync().filter(({ identity }) => this.roles.get(identity) === 'member');
    const [first] = members;
    if (first === undefined) return null;
    const region = Math.floor(block / BLOCKS_PER_REGION);
    const isBusy = this.writes.some((one) => one.isGranted && one.block === block);
    if (!this.unsettled.has(region) && !isBusy && members.some((one) => one.cache[block] !== first.cache[block]))
      return `block ${block} of replicas in sync differs, and is settled: ${members.map((one) => one.cache[block]).join(' ')}`;
    if (members.some((one) => one.map.has(region))) return null;
    for (const one of this.replicas) {
      const isEqual = one.cache[block] === first.cache[block] && one.disk[block] === first.cache[block];
      if (isEqual || (!members.includes(one) && one.map.has(region))) continue;
      return `block ${block}: no map has it, but ${one.identity} has ${one.cache[block]}, ${one.disk[block]} on its disk, not ${first.cache[block]}`;
    }
    return null;
  }

  // --- the rest of the client

  private takeJoins(): void {
    this.copier.changed();
    this.clock.advance(0);
    for (const identity of [...this.joins]) this.join(identity);
    this.joins.clear();
  }

  private join(identity: string): void {
    if (this.roles.get(identity) !== 'returning' || this.isPending) return;
    this.roles.set(identity, 'joining');
    this.tell();
    const replica = this.replicas.find((one) => one.identity === identity)!;
    const { tenure } = replica;
    this.enqueue(replica, 'join-flush', 0, 0, this.flushOf(replica), (status) => {
      if (status !== STATUS.OK || replica.tenure !== tenure || this.roles.get(identity) !== 'joining') return this.unjoin(identity);
      this.roles.set(identity, 'member');
      this.tell();
    });
  }

  private unjoin(identity: string): void {
    this.joins.delete(identity);
    if (this.roles.get(identity) !== 'joining') return;
    this.roles.set(identity, 'returning');
    this.tell();
  }

  private tell(): void {
    const hasAll = [...this.roles.values()].every((role) => role === 'member');
    const isPending = this.isPending || [...this.roles.values()].includes('leaving');
    const replicas = this.replicas.map(({ identity, foundBytes }) => {
      const role = this.roles.get(identity)!;
      const mayJoin = role === 'returning' && !isPending;
      const lacksTerm = this.kept.lacksTerm(identity);
      return { identity, role, counts: role !== 'returning', reads: role === 'member', mayJoin, foundBytes, lacksTerm };
    });
    const view: CopyView = { isServing: this.hasBegun, isPending, isAllInSync: hasAll && !isPending, sizeBytes: this.sizeBytes, replicas };
    this.copier.setView(view);
    this.lastView = view;
    for (const follow of this.followers) follow(view);
  }

  private send(write: UserWrite, replica: SimReplica): void {
    write.unanswered.add(replica.identity);
    const execute = (): number => {
      replica.write(write.block, write.value);
      return STATUS.OK;
    };
    this.enqueue(replica, 'user-write', write.block, write.block + 1, execute, (status) => {
      if (status === STATUS.OK) replica.log.set(write.block, write.value);
      write.unanswered.delete(replica.identity);
      this.judge(write);
    });
  }

  private judge(write: UserWrite): void {
    if (write.isGranted && write.unanswered.size === 0 && !write.isOver && write.lock !== null) this.finish(write);
  }

  private finish(write: UserWrite): void {
    write.isOver = true;
    this.lacks.changed(write.block * BLOCK_BYTES, (write.block + 1) * BLOCK_BYTES);
    this.writes.splice(this.writes.indexOf(write), 1);
    write.lock?.release();
  }

  private enqueue(
    replica: SimReplica,
    kind: UnderWay['kind'],
    begin: number,
    end: number,
    execute: () => number,
    done: (status: number) => void,
  ): void {
    if (replica.isUp) replica.queue.push({ kind, begin, end, execute, done });
    else this.clock.soon(() => done(STATUS.OUTCOME_UNKNOWN));
  }

  private flushOf(replica: SimReplica): () => number {
    const { tenure } = replica;
    const tick = ++this.tick;
    return () => {
      replica.flush();
      // A FLUSH in an earlier session or incarnation does not count.
      if (replica.tenure === tenure) replica.flushed = tick;
      return STATUS.OK;
    };
  }

  private newIo(): VerifyIo {
    const find = (identity: string): SimReplica => this.replicas.find((one) => one.identity === identity)!;
    const { writes } = this;
    return {
      touched: this.touched,
      unsettled: this.unsettled,
      lacks: this.lacks,
      get outstanding() {
        return writes.length;
      },
      settled: (region) => {
        this.wrong ??= this.kept.settled(this.inSync()[0], region * BLOCKS_PER_REGION, (region + 1) * BLOCKS_PER_REGION);
        this.unsettled.remove(region);
      },
      settledMany: () => {},
      lock: (begin, end, granted) => this.locks.take(begin / BLOCK_BYTES, end / BLOCK_BYTES, false, granted),
      tenureOf: (identity) => find(identity).tenure,
      lifeOf: (identity) => String(find(identity).life),
      loadOf: (identity) => find(identity).queue.length,
      readAt: (identity, position, length, buffer, offset, done) =>
        this.transfer('read', find(identity), position, length, buffer, offset, done),
      writeAt: (identity, position, length, buffer, offset, done) => {
        this.touched.addRange(position, position + length);
        const counts = this.roles.get(identity) !== 'returning';
        this.transfer('write', find(identity), position, length, buffer, offset, (status) => {
          if (counts) this.lacks.changed(position, position + length);
          done(status);
        });
      },
      zeroAt: () => {
        throw new Error('No block of this world is zero');
      },
      flushAt: (identity, done) => this.enqueue(find(identity), 'flush', 0, 0, this.flushOf(find(identity)), done),
      readMap: (identity, first, done) => this.readMap(find(identity), first, done),
      clearMap: (identity, ranges, done) => this.clearMap(find(identity), ranges, done),
      alone: (work) => this.copier.pause(() => work(() => this.copier.resume())),
      recopy: (region, reached) => this.copier.recopy(region, reached),
      readSums: (identity, range, pieceBytes, done) => this.readSums(find(identity), range, pieceBytes, done),
    };
  }

  private transfer(
    kind: 'read' | 'write',
    replica: SimReplica,
    positionBytes: number,
    lengthBytes: number,
    buffer: Buffer,
    offset: number,
    done: (status: number) => void,
  ): void {
    const begin = Math.floor(positionBytes / BLOCK_BYTES);
    const end = Math.ceil((positionBytes + lengthBytes) / BLOCK_BYTES);
    const execute = (): number => {
      for (let block = begin; block < end; block++) {
        const at = offset + block * BLOCK_BYTES - positionBytes;
        // If a piece begins within a block, a READ puts the content of the block at the beginning of the piece, and a WRITE does not change
        // the block.
        if (kind === 'read') buffer.writeUInt32LE(replica.cache[block]!, Math.max(offset, at));
        else if (at >= offset) replica.write(block, buffer.readUInt32LE(at));
      }
      return STATUS.OK;
    };
    this.enqueue(replica, kind, begin, end, execute, done);
  }

  private readMap(replica: SimReplica, first: number, done: (answer: MirrorMapAnswer | null) => void): void {
    let answer: MirrorMapAnswer | null = null;
    const execute = (): number => {
      const bits = Buffer.alloc(1);
      for (let bit = 0; bit < 8; bit++) if (replica.map.has(first + bit)) bits[0]! |= 1 << bit;
      answer = { regions: regionsOf(this.sizeBytes), first, bits };
      return STATUS.OK;
    };
    this.enqueue(replica, 'map', 0, 0, execute, (status) => done(status === STATUS.OK ? answer : null));
  }

  private readSums(replica: SimReplica, { beginBytes, endBytes }: ByteRange, pieceBytes: number, done: (answer: SumsAnswer) => void): void {
    const sums = Buffer.alloc(Math.ceil((endBytes - beginBytes) / pieceBytes) * MIRROR_SUM_BYTES);
    const execute = (): number => {
      for (let piece = 0; piece * MIRROR_SUM_BYTES < sums.length; piece++) {
        const block = Math.floor((beginBytes + piece * pieceBytes) / BLOCK_BYTES);
        sums.writeUInt32LE(replica.cache[block]!, piece * MIRROR_SUM_BYTES);
      }
      return replica.isReadable(beginBytes, endBytes) ? STATUS.OK : STATUS.IO_ERROR;
    };
    this.enqueue(replica, 'sums', 0, 0, execute, (status) => done({ status, sentence: '', sums: status === STATUS.OK ? sums : null }));
  }

  private clearMap(replica: SimReplica, ranges: readonly number[], done: (status: number) => void): void {
    const execute = (): number => {
      for (let at = 0; at < ranges.length; at += 2)
        for (let count = 0; count < ranges[at + 1]!; count++) replica.map.remove(ranges[at]! + count);
      return STATUS.OK;
    };
    this.enqueue(replica, 'clear', 0, 0, execute, done);
  }
}
