// A user of one volume: random I/O through a door's interface, several at a time and overlapping on purpose, judged by the oracle. It owns
// and re-uses requests and buffers as a door does, and spoils them between two uses: whoever touches one that was answered is seen.
// It outlives client processes: what was out when one died has an unknown outcome.

import type { StallPolicy } from '@rsio/protocol/config/types';
import { SECTOR_BYTES, SEGMENT_BYTES } from '@rsio/protocol/limits';
import type { SeededRandom } from '@rsio/protocol/testing/seeded-random';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import type { VolumeIo, VolumeOp } from '@rsio/rsiod/doors/door';
import type { StallWord } from '@rsio/rsiod/stall';
import type { Volume } from '@rsio/rsiod/volume';
import { Oracle, type ReadTicket } from './oracle.ts';
import type { SimClock, SimProcess } from './sim-clock.ts';
import type { SimStorage } from './sim-storage.ts';
import { StallJudge } from './stall-judge.ts';
import { EVENT, type Trace } from './trace.ts';

export interface UserShape {
  /** I/Os in all. */
  readonly ios: number;
  /** Out at one time. */
  readonly depth: number;
  /** Sectors of most I/Os, and of the large ones. */
  readonly smallSectors: number;
  readonly largeSectors: number;
  readonly largeChance: number;
  /** Between two bursts, ms. */
  readonly thinkMs: number;
  readonly policy: StallPolicy;
}

export interface UserPorts {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly trace: Trace;
  /** How many server processes there have been. */
  lives(): number;
}

const SPOILED = 0x5b;
/** Of a user's I/O: so much comes when no misfortune befalls the world any more. */
const LAST_SHARE = 0.2;
const OPS: readonly VolumeOp[] = ['read', 'read', 'read', 'read', 'write', 'write', 'write', 'write', 'write', 'zero', 'discard', 'flush'];
const VERIFY_SECTORS = 512;
const VERIFY_RETRY_MS = 100;

class UserIo implements VolumeIo {
  op: VolumeOp = 'read';
  positionBytes = 0;
  lengthBytes = 0;
  buffer: Buffer = Buffer.alloc(0);
  bufferOffset = 0;
  fua = false;
  keepAllocated = false;
  number = 0;
  ticket: ReadTicket = new Uint32Array(0);
  submittedMs = 0;
  isOut = false;
  volume: Volume | null = null;
  private readonly user: SimUser;

  constructor(user: SimUser) {
    this.user = user;
  }

  done(status: Status): void {
    this.user.ended(this, status);
  }
}

export class SimUser {
  readonly name: string;
  readonly oracle: Oracle;
  readonly storage: SimStorage;
  volume: Volume | null = null;
  /** The client process of now. */
  process: SimProcess | null = null;
  completed = 0;
  /** I/Os whose outcome stayed unknown. */
  givenUp = 0;
  /** It is being detached. */
  isLeaving = false;
  readonly policy: StallPolicy;
  readonly stall: StallJudge;
  /** When an I/O last ended. */
  endedMs = 0;
  private readonly out = new Set<UserIo>();
  private readonly free: UserIo[] = [];
  private readonly shape: UserShape;
  private readonly ports: UserPorts;
  private readonly clock: SimClock;
  private readonly random: SeededRandom;
  private readonly trace: Trace;
  private left: number;
  private verifyAt = -1;
  private isForced = false;

  constructor(name: string, id: number, storage: SimStorage, shape: UserShape, ports: UserPorts) {
    this.name = name;
    this.storage = storage;
    this.shape = shape;
    this.policy = shape.policy;
    this.ports = ports;
    this.clock = ports.clock;
    this.random = ports.random;
    this.trace = ports.trace;
    this.left = shape.ios;
    this.oracle = new Oracle(id, storage.content.length / SECTOR_BYTES);
    this.stall = new StallJudge(shape.policy);
    storage.watch = this.oracle;
    this.think();
  }

  get outstanding(): number {
    return this.out.size;
  }

  /** Some of its I/O is still to come, but not much. */
  get isNearlyDone(): boolean {
    return this.left < this.shape.ios * LAST_SHARE;
  }

  get isBusy(): boolean {
    return this.left > 0 || this.out.size > 0;
  }

  /** When the oldest I/O that is out was submitted; infinity: none is. */
  get oldestMs(): number {
    for (const io of this.out) return io.submittedMs;
    return Number.POSITIVE_INFINITY;
  }

  /** What the oldest I/O is, for people. */
  get oldest(): string {
    for (const { op, positionBytes, lengthBytes, submittedMs } of this.out) {
      return `${op} of sector ${positionBytes / SECTOR_BYTES} + ${lengthBytes / SECTOR_BYTES}, submitted at ${submittedMs.toFixed(1)} ms`;
    }
    return 'nothing';
  }

  attached(volume: Volume, process: SimProcess): void {
    this.volume = volume;
    this.process = process;
    this.isLeaving = false;
    if (this.verifyAt >= 0) this.verifyNext();
    else this.act();
  }

  /** The client process is gone: nobody will ever hear of what was out. */
  killed(): void {
    this.detached();
    this.out.clear();
    this.free.length = 0;
    if (this.verifyAt >= 0) this.verifyAt = 0;
  }

  /** Detaching begins; by force while it goes on working. */
  leaves(force: boolean): void {
    this.isLeaving = true;
    this.isForced = force;
  }

  /** It was not detached. */
  stays(): void {
    this.isLeaving = false;
    if (this.verifyAt >= 0) this.verifyNext();
  }

  /** What is still out will be answered all the same. */
  detached(): void {
    this.volume = null;
    this.process = null;
    this.isLeaving = false;
    this.stall.forget();
  }

  /** The stall policy's word on its volume. */
  stalled(word: StallWord): void {
    this.trace.note(EVENT.STALL, this.oracle.volume, word.length, 0);
    if (this.trace.isOn) this.trace.say(`${this.name}: ${word}`);
    this.stall.said(word, this.clock.monotonicMs());
  }

  /** No I/O any more but one read of everything. */
  verify(): void {
    this.left = 0;
    this.verifyAt = 0;
    if (this.volume !== null) this.verifyNext();
  }

  get isVerified(): boolean {
    return this.verifyAt >= this.oracle.sectors;
  }

  stop(): void {
    this.left = 0;
  }

  ended(io: UserIo, status: Status): void {
    if (!io.isOut || !this.out.delete(io)) {
      this.oracle.breach(`${io.op} was answered that is not out`);
      return;
    }
    io.isOut = false;
    this.completed++;
    this.endedMs = this.clock.monotonicMs();
    this.trace.note(EVENT.ANSWERED, io.positionBytes, status, io.number);
    if (this.trace.isOn) this.trace.say(`${this.name}: ${io.op} ${io.positionBytes / SECTOR_BYTES} number ${io.number}: status ${status}`);
    this.judge(io, status);
    io.buffer.fill(SPOILED, 0, Math.min(io.buffer.length, io.bufferOffset + io.lengthBytes));
    this.free.push(io);
    if (this.verifyAt >= 0) {
      if (status === STATUS.OK) this.verifyNext();
      else this.verifyAgain();
    }
    // As a door whose client was waiting for just this.
    else if (status === STATUS.OK && this.maySubmit && this.random.chance(0.6)) this.submitRandom();
  }

  private judge(io: UserIo, status: Status): void {
    const { oracle } = this;
    const lba = io.positionBytes / SECTOR_BYTES;
    const count = io.lengthBytes / SECTOR_BYTES;
    const isUnknown = this.isUnknown(io, status);
    if (isUnknown) this.givenUp++;
    if (io.number > 0 && isUnknown) oracle.gaveUp(io.number, this.ports.lives());
    else if (io.number > 0) oracle.changed(io.number, lba, count, status === STATUS.OK);
    if (status === STATUS.OK) {
      this.judgeDurable(io, lba, count);
      if (io.op === 'read') oracle.readDone(io.ticket, lba, count, io.buffer, io.bufferOffset);
      return;
    }
    if (this.isExcused(io, status)) return;
    oracle.breach(`${io.op} of sector ${lba} + ${count} ended with ${statusEntry(status).name}, which nobody caused`);
  }

  /** Of several segments one may have failed before another was given up. */
  private isUnknown(io: UserIo, status: Status): boolean {
    return status === STATUS.OUTCOME_UNKNOWN || (status !== STATUS.OK && io.lengthBytes > SEGMENT_BYTES);
  }

  /** O2: what FLUSH covers, and what has FUA, is durable when answered. */
  private judgeDurable(io: UserIo, lba: number, count: number): void {
    const { storage, oracle } = this;
    if (io.op === 'flush' && storage.syncedMs < io.submittedMs)
      oracle.breach(
        `O2: a flush submitted at ${io.submittedMs.toFixed(1)} ms was answered, the last sync began at ${storage.syncedMs.toFixed(1)} ms`,
      );
    // Of a longer one, the first segment may be overwritten before the last is answered.
    if (io.fua && io.lengthBytes <= SEGMENT_BYTES && storage.isDirty(lba, count))
      oracle.breach(`O2: write ${io.number} of sector ${lba} + ${count} has FUA and is answered, but not on disk`);
  }

  /** An error is the storage's own, or what its owner wanted, or it was invented on the way. */
  private isExcused(io: UserIo, status: Status): boolean {
    if (status === STATUS.SHUTTING_DOWN) return true;
    const isGivenUp = status === STATUS.OUTCOME_UNKNOWN || status === STATUS.IO_ERROR;
    if (isGivenUp && (io.volume !== this.volume || (this.isLeaving && this.isForced))) return true;
    if (status === STATUS.OUTCOME_UNKNOWN) return this.stall.mayGiveUp(io.volume, io.submittedMs, this.oldestMs, this.clock.monotonicMs());
    return (status === STATUS.IO_ERROR || status === STATUS.NO_SPACE) && this.storage.failedMs >= io.submittedMs;
  }

  /** Nobody works on a volume that is being detached in order. */
  private get maySubmit(): boolean {
    return this.left > 0 && this.volume !== null && this.process?.isPaused !== true && !(this.isLeaving && !this.isForced);
  }

  private think(): void {
    const gapMs = this.random.unit() * 2 * this.shape.thinkMs;
    this.clock.after(gapMs, () => {
      if (this.left === 0) return;
      this.act();
      this.think();
    });
  }

  private act(): void {
    if (!this.maySubmit) return;
    for (let count = this.random.int(1, this.shape.depth); count > 0 && this.left > 0; count--) {
      if (this.out.size >= this.shape.depth) return;
      this.submitRandom();
    }
  }

  private submitRandom(): void {
    const { random, shape } = this;
    const io = this.take();
    io.op = OPS[random.int(0, OPS.length - 1)]!;
    const most = random.chance(shape.largeChance) ? shape.largeSectors : shape.smallSectors;
    const count = io.op === 'flush' ? 0 : random.int(1, most);
    // Half of all near the beginning, so that they meet.
    const room = random.chance(0.5) ? Math.min(32, this.oracle.sectors - count) : this.oracle.sectors - count;
    const lba = io.op === 'flush' ? 0 : random.int(0, room);
    io.fua = io.op === 'write' && random.chance(0.1);
    io.keepAllocated = io.op === 'zero' && random.chance(0.5);
    this.left--;
    this.submit(io, lba, count);
  }

  private submit(io: UserIo, lba: number, count: number): void {
    const { volume } = this;
    if (volume === null) return;
    io.positionBytes = lba * SECTOR_BYTES;
    io.lengthBytes = count * SECTOR_BYTES;
    io.bufferOffset = this.random.int(0, 3);
    io.number = 0;
    io.isOut = true;
    io.volume = volume;
    io.submittedMs = this.clock.monotonicMs();
    const needsBuffer = io.op === 'read' || io.op === 'write';
    if (needsBuffer && io.buffer.length < io.bufferOffset + io.lengthBytes)
      io.buffer = Buffer.alloc(2 * (io.bufferOffset + io.lengthBytes), SPOILED);
    this.prepare(io, lba, count);
    this.out.add(io);
    this.trace.note(EVENT.SUBMITTED, lba, count, io.number);
    if (this.trace.isOn) this.trace.say(`${this.name}: ${io.op} ${lba} + ${count} number ${io.number}`);
    volume.submit(io);
  }

  private prepare(io: UserIo, lba: number, count: number): void {
    switch (io.op) {
      case 'read':
        if (io.ticket.length < count) io.ticket = new Uint32Array(2 * count);
        this.oracle.issueRead(lba, count, io.ticket);
        return;
      case 'write':
        io.number = this.oracle.change(lba, count, io.buffer, io.bufferOffset);
        return;
      case 'zero':
      case 'discard':
        io.number = this.oracle.change(lba, count, null, 0);
        return;
      case 'flush':
    }
  }

  private take(): UserIo {
    const io = this.free.length > 0 && this.random.chance(0.9) ? this.free.pop() : this.free.shift();
    if (io === undefined) return new UserIo(this);
    const checkedBytes = Math.min(io.buffer.length, io.bufferOffset + io.lengthBytes);
    if (checkedBytes > 0 && !isSpoiled(io.buffer, checkedBytes)) this.oracle.breach('S8: a buffer was written after its I/O was answered');
    return io;
  }

  private verifyAgain(): void {
    this.verifyAt = 0;
    this.clock.after(VERIFY_RETRY_MS, () => this.verifyNext());
  }

  private verifyNext(): void {
    if (this.out.size > 0 || this.isVerified || this.volume === null || this.isLeaving) return;
    const io = this.take();
    io.op = 'read';
    io.fua = false;
    const lba = this.verifyAt;
    const count = Math.min(VERIFY_SECTORS, this.oracle.sectors - lba);
    this.verifyAt += count;
    this.submit(io, lba, count);
  }
}

function isSpoiled(buffer: Buffer, lengthBytes: number): boolean {
  return buffer[0] === SPOILED && (lengthBytes === 1 || buffer.compare(buffer, 1, lengthBytes, 0, lengthBytes - 1) === 0);
}
