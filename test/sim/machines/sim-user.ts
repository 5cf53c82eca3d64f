// A user of one volume at one client. The user submits random I/O through the interface of a frontend; several I/Os are in flight at a
// time, and overlap on purpose. The oracle judges the answers. Like a frontend, the user reuses requests and buffers. The user overwrites
// the request and the buffer after each answer, so that a later use by the client is detected. The user outlives client processes; I/O that
// was in flight when a process died has an unknown outcome. The user may lose the volume to another user.

import type { StallPolicy } from '@rsio/common/config/schema/value-types';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SEGMENT_MIN_BYTES } from '@rsio/protocol/client/limits';
import type { Attachment } from '@rsio/protocol/client/attachment';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import type { VolumeOp } from '@rsio/rsiod/volumes/frontend-volume';
import type { StallEvent } from '@rsio/rsiod/volumes/path-stall';
import type { Volume } from '@rsio/rsiod/volumes/volume';
import type { Oracle } from '../judges/oracle.ts';
import type { SimClock, SimProcess } from '../base/sim-clock.ts';
import { epochOf } from './sim-session.ts';
import type { SimVolume } from './sim-volume.ts';
import { SPOILED, UserIo } from './user-io.ts';
import { StallJudge } from '../judges/stall-judge.ts';
import { EVENT, type Trace } from '../base/trace.ts';

export interface UserShape {
  readonly ios: number;
  /** Whether the user sends FLUSH from time to time. */
  readonly flushes: boolean;
  /** I/Os in flight at one time. */
  readonly depth: number;
  /**
   * `smallSectors`: maximum number of sectors of a usual I/O. `largeSectors`: maximum number of sectors of a large I/O, whose chance is
   * `largeChance`.
   */
  readonly smallSectors: number;
  readonly largeSectors: number;
  readonly largeChance: number;
  /** Pause between two bursts, ms. */
  readonly thinkMs: number;
  readonly policy: StallPolicy;
}

export interface UserPorts {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly trace: Trace;
  serverProcesses(): number;
  /** Whether the server serves another instance of the client's node. */
  isReplaced(): boolean;
}

/** At least this share of a user's I/O is left when the faults end. */
const LAST_SHARE = 0.2;
/** FLUSH is the last entry, so that users without FLUSH can draw from all entries but the last. */
const OPS: readonly VolumeOp[] = ['read', 'read', 'read', 'read', 'write', 'write', 'write', 'write', 'write', 'zero', 'discard', 'flush'];
const VERIFY_SECTORS = 512;
const VERIFY_RETRY_MS = 100;

export class SimUser {
  readonly name: string;
  readonly node: string;
  readonly target: SimVolume;
  readonly oracle: Oracle;
  volume: Volume | null = null;
  process: SimProcess | null = null;
  completed = 0;
  /** I/Os whose outcome stayed unknown. */
  abandoned = 0;
  /** Number of times that this user lost the volume to another user. */
  losses = 0;
  /** The name under which the volume is, was or will be attached. */
  attachedName: string;
  /**
   * Whether the user has detached the volume because an administrator changes the volume. The user does not attach the volume before
   * `callBack`.
   */
  isSentAway = false;
  /** Whether the volume was removed for good. */
  hasNoVolume = false;
  /** Whether the user repeats take-overs until it has the volume. */
  insists = false;
  /** Whether the volume is being attached or detached. */
  isAttaching = false;
  isLeaving = false;
  readonly policy: StallPolicy;
  readonly stall: StallJudge;
  get epoch(): number {
    return epochOf(this.volume?.target.volume?.identity ?? '');
  }

  /** Time at which an I/O last ended. */
  endedMs = 0;
  private readonly id: number;
  private readonly out = new Set<UserIo>();
  /** Time since which at least one I/O has always been in flight. */
  private busySinceMs = 0;
  private readonly free: UserIo[] = [];
  private readonly shape: UserShape;
  private readonly ports: UserPorts;
  private readonly clock: SimClock;
  private readonly random: SeededRandom;
  private readonly trace: Trace;
  private left: number;
  private verifyAt = -1;
  private isForced = false;
  /** Size of the volume in sectors, as the client has reported it. A program cannot use sectors beyond this size. */
  private shownSectors = 0;
  private readonly lostOnes = new WeakSet<Volume>();

  constructor(
    client: { readonly label: string; readonly node: string },
    id: number,
    target: SimVolume,
    shape: UserShape,
    ports: UserPorts,
  ) {
    this.name = `${target.name}-${client.label}`;
    this.attachedName = target.name;
    this.node = client.node;
    this.id = id;
    this.target = target;
    this.oracle = target.oracle;
    this.shape = shape;
    this.policy = shape.policy;
    this.ports = ports;
    this.clock = ports.clock;
    this.random = ports.random;
    this.trace = ports.trace;
    this.left = shape.ios;
    this.stall = new StallJudge(shape.policy);
    this.think();
  }

  get outstanding(): number {
    return this.out.size;
  }

  /** Whether only a small part of the user's I/O is left (LAST_SHARE). */
  get isNearlyDone(): boolean {
    return this.left < this.shape.ios * LAST_SHARE || this.isReplaced;
  }

  get isBusy(): boolean {
    return (this.left > 0 || this.out.size > 0) && !this.isReplaced;
  }

  /** Whether the user has I/O left, and its client may still do I/O on the volume. */
  get wants(): boolean {
    return this.left > 0 && !this.isReplaced;
  }

  /**
   * Whether another instance has replaced the user's client at the server. A client without a path does not learn of its replacement, so
   * its I/O may wait.
   */
  get isReplaced(): boolean {
    return this.ports.isReplaced();
  }

  /** Takes half of the remaining I/Os from this user, for another instance of the node. Returns their number. */
  share(): number {
    const given = Math.floor(this.left / 2);
    this.left -= given;
    return given;
  }

  /** The storage may have lost data. Reads in flight may therefore return the content that remains after the loss. */
  lower(): void {
    for (const io of this.out)
      if (io.op === 'read') this.oracle.lower(io.ticket, io.positionBytes / SECTOR_BYTES, io.lengthBytes / SECTOR_BYTES);
  }

  /**
   * Whether the user may lose the volume: the server has granted the volume to another client after the hold of this epoch, or has replaced
   * the user's client.
   */
  mayLose(epoch: number): boolean {
    return this.target.judge.lostMs(epoch) !== null || this.isReplaced;
  }

  /** Another client has the volume now. Every request in flight has been answered, and later requests fail in the same way. */
  lost(): void {
    const { volume } = this;
    this.losses++;
    this.detached();
    for (const io of this.out)
      if (io.volume === volume) this.oracle.breach(`H2: ${io.op} is unanswered after ${this.name} lost the volume`);
    if (volume === null) return;
    this.lostOnes.add(volume);
    if (this.left > 0) this.submitRandom(volume);
  }

  /** Submission time of the oldest I/O in flight; infinity: no I/O is in flight. */
  get oldestMs(): number {
    for (const io of this.out) return io.submittedMs;
    return Number.POSITIVE_INFINITY;
  }

  /** The oldest I/O, as text. */
  get oldest(): string {
    for (const { op, positionBytes, lengthBytes, submittedMs } of this.out) {
      return `${op} of sector ${positionBytes / SECTOR_BYTES} + ${lengthBytes / SECTOR_BYTES}, submitted at ${submittedMs.toFixed(1)} ms`;
    }
    return 'nothing';
  }

  attached(volume: Volume, process: SimProcess): void {
    this.volume = volume;
    this.process = process;
    if (this.isHolder) this.oracle.attached();
    this.shownSectors = this.sectors;
    this.isAttaching = false;
    this.isLeaving = false;
    if (this.verifyAt >= 0) this.verifyNext();
    else this.act();
  }

  /** The client process has ended: no answer to its requests in flight will ever arrive. */
  killed(): void {
    this.forgets();
    this.detached();
    this.isAttaching = false;
    this.out.clear();
    this.free.length = 0;
    if (this.verifyAt >= 0) this.verifyAt = 0;
  }

  /** Whether the user has the volume attached, and no other client was granted the volume since the user attached it. */
  get isHolder(): boolean {
    return this.volume !== null && this.epoch === this.target.judge.last?.epoch;
  }

  /** The client's replay log of the volume is lost. */
  forgets(): void {
    if (this.isHolder) this.oracle.dropped();
  }

  /** Detaching starts. During a detach by force, the user continues to work. */
  leaves(force: boolean): void {
    this.isLeaving = true;
    this.isForced = force;
  }

  /** Whether a detach by force has started, so that the content of the replay log counts as lost. */
  get leavesByForce(): boolean {
    return this.isLeaving && this.isForced;
  }

  /** The detach has failed. */
  stays(): void {
    this.isLeaving = false;
    if (this.verifyAt >= 0) this.verifyNext();
  }

  /** The volume is detached. Requests in flight still get answers. */
  detached(): void {
    this.volume = null;
    this.process = null;
    this.isLeaving = false;
    this.stall.forget();
  }

  /** The client reports an event of the stall policy of the volume. */
  stalled(word: StallEvent): void {
    this.trace.note(EVENT.STALL, this.id, word.length, 0);
    if (this.trace.isOn) this.trace.say(`${this.name}: ${word}`);
    this.stall.said(word, this.clock.monotonicMs());
  }

  /** Called when the volume was removed for good. The user ends. */
  ends(): void {
    this.stop();
    this.hasNoVolume = true;
    this.attachedName = '';
  }

  /** The size of the volume in sectors, as the client knows it now. */
  private get sectors(): number {
    const { target, oracle, volume } = this;
    return target.isPooled ? (volume?.target.volume?.sizeBytes ?? 0) / SECTOR_BYTES : oracle.sectors;
  }

  /** The client reports that the volume has grown. */
  grown(attachment: Attachment): void {
    if (this.volume?.target.attachments.includes(attachment) === true) this.shownSectors = this.sectors;
  }

  /** Whether the client has reported the current size of the volume to the user. */
  get knowsSize(): boolean {
    return this.volume === null || Math.min(this.sectors, this.shownSectors) >= this.oracle.sectors;
  }

  /** Stops random I/O, and reads the whole volume once. */
  verify(): void {
    this.left = 0;
    this.verifyAt = 0;
    if (this.volume !== null) this.verifyNext();
  }

  get isVerified(): boolean {
    return this.verifyAt >= this.oracle.sectors && this.out.size === 0;
  }

  /** Submits no more I/O. */
  stop(): void {
    this.left = 0;
    if (!this.isVerified) this.verifyAt = -1;
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
    io.spoil();
    this.free.push(io);
    if (this.verifyAt >= 0) {
      if (status === STATUS.OK) this.verifyNext();
      else this.verifyAgain();
    }
    // Submits the next I/O at once, like the frontend of a program that has waited for this answer.
    else if (status === STATUS.OK && this.volume !== null && this.maySubmit && this.random.chance(0.6)) this.submitRandom(this.volume);
  }

  private judge(io: UserIo, status: Status): void {
    const { oracle } = this;
    const lba = io.positionBytes / SECTOR_BYTES;
    const count = io.lengthBytes / SECTOR_BYTES;
    const isUnknown = this.isUnknown(io, status);
    const isSure = io.drops === oracle.drops;
    if (isUnknown) this.abandoned++;
    if (isUnknown && io.lengthBytes > SEGMENT_MIN_BYTES) oracle.partly(io.number);
    if (io.number > 0 && isUnknown) oracle.abandoned(io.number, this.ports.serverProcesses());
    else if (io.number > 0) oracle.changed(io.number, lba, count, status === STATUS.OK, isSure);
    if (status === STATUS.OK) {
      this.judgeHold(io);
      this.judgeDurable(io, lba, count, isSure);
      const { received } = io;
      const [data, at] = received === null ? [io.buffer, io.bufferOffset] : [received, io.receivedOffset];
      if (io.op === 'read') oracle.readDone(io.ticket, lba, count, data, at, isSure && this.isOfPresentIncarnation(io));
      return;
    }
    if (this.isExcused(io, status)) return;
    oracle.breach(`${io.op} of sector ${lba} + ${count} ended with ${statusEntry(status).name}, which nobody caused`);
  }

  /** Whether the I/O was submitted and answered in the current incarnation of the storage, so that no replay will undo its result. */
  private isOfPresentIncarnation({ incarnations, volume }: UserIo): boolean {
    const present = this.oracle.incarnations;
    return incarnations === present && epochOf(volume?.target.volume?.life ?? '') === present;
  }

  /** Judges an answered I/O: it must not have been executed if the user had already lost the hold when it submitted the I/O. */
  private judgeHold({ op, epoch, submittedMs }: UserIo): void {
    const lostMs = this.target.judge.lostMs(epoch);
    if (lostMs !== null && lostMs < submittedMs)
      this.oracle.breach(
        `H2: ${op} of ${this.name} is answered OK, submitted ${(submittedMs - lostMs).toFixed(1)} ms after its loss was decided`,
      );
  }

  /**
   * Whether the outcome of the I/O is unknown. This is possible even for another error status if the I/O has several segments: one segment
   * may have failed before another segment was abandoned.
   */
  private isUnknown(io: UserIo, status: Status): boolean {
    return (
      status === STATUS.OUTCOME_UNKNOWN || status === STATUS.SHUTTING_DOWN || (status !== STATUS.OK && io.lengthBytes > SEGMENT_MIN_BYTES)
    );
  }

  /**
   * Judges O2: changes that a FLUSH covers are durable when the FLUSH is answered, and a change with FUA is durable when it is answered.
   */
  private judgeDurable(io: UserIo, lba: number, count: number, isSure: boolean): void {
    const { oracle } = this;
    const { storage } = this.target;
    if (io.op === 'flush' && isSure) {
      const { cache } = storage;
      cache.unwritten((sector) => oracle.judgeOnDisk(sector, io.covered[sector]!, cache.disk));
      oracle.flushed(io.covered);
    }
    if (io.fua) oracle.stays(io.number, lba, count);
    if (io.op === 'flush' && storage.syncedMs < io.submittedMs)
      oracle.breach(
        `O2: a flush submitted at ${io.submittedMs.toFixed(1)} ms was answered, the last sync began at ${storage.syncedMs.toFixed(1)} ms`,
      );
    // The first segment of a long change may be overwritten before its last segment is answered, so only changes of one segment are
    // compared.
    const isHolder = this.target.judge.lostMs(io.epoch) === null;
    if (io.fua && isHolder && io.lengthBytes <= SEGMENT_MIN_BYTES && storage.cache.isUnwritten(lba, count))
      oracle.breach(`O2: write ${io.number} of sector ${lba} + ${count} has FUA and is answered, but not on disk`);
  }

  /** Whether the error has a valid cause: the storage, or an action of the user. Any other error is a fault of client or server. */
  private isExcused(io: UserIo, status: Status): boolean {
    if (status === STATUS.SHUTTING_DOWN) return true;
    if (status === STATUS.TAKEN) return this.mayLose(io.epoch);
    if (io.volume !== null && this.lostOnes.has(io.volume)) return false;
    const isGivenUp = status === STATUS.OUTCOME_UNKNOWN || status === STATUS.IO_ERROR;
    if (isGivenUp && (io.volume !== this.volume || this.leavesByForce)) return true;
    // The time-out counts from the time at which the user last had no I/O in flight. An answer to one I/O does not restart the time-out,
    // because a lossy link delivers answers late.
    if (status === STATUS.OUTCOME_UNKNOWN)
      return this.stall.mayGiveUp(io.volume, io.submittedMs, this.busySinceMs, this.clock.monotonicMs());
    return (status === STATUS.IO_ERROR || status === STATUS.NO_SPACE) && this.target.storage.failedMs >= io.submittedMs;
  }

  /** False while the volume is being detached cleanly. */
  private get maySubmit(): boolean {
    return this.left > 0 && this.volume !== null && this.process?.isPaused !== true && !(this.isLeaving && !this.isForced);
  }

  private think(): void {
    const gapMs = (): number => this.random.unit() * 2 * this.shape.thinkMs;
    this.clock.repeat(gapMs(), () => {
      if (this.left === 0) return null;
      this.act();
      return gapMs();
    });
  }

  private act(): void {
    const { volume } = this;
    if (!this.maySubmit || volume === null) return;
    for (let count = this.random.int(1, this.shape.depth); count > 0 && this.left > 0; count--) {
      if (this.out.size >= this.shape.depth) return;
      this.submitRandom(volume);
    }
  }

  private submitRandom(volume: Volume): void {
    const { random, shape } = this;
    const io = this.take();
    io.op = OPS[random.int(0, OPS.length - (shape.flushes ? 1 : 2))]!;
    const most = random.chance(shape.largeChance) ? shape.largeSectors : shape.smallSectors;
    const { sectors } = this;
    const count = io.op === 'flush' ? 0 : random.int(1, Math.min(most, sectors));
    // Places half of the I/Os near the beginning, so that they overlap.
    const room = random.chance(0.5) ? Math.min(32, sectors - count) : sectors - count;
    const lba = io.op === 'flush' ? 0 : random.int(0, room);
    io.fua = io.op === 'write' && random.chance(0.1);
    io.mustKeepAllocated = io.op === 'zero' && random.chance(0.5);
    this.left--;
    // Some reads hit a change in flight on purpose: a read may return a change before its answer, and the content must then not be lost.
    const seen = io.op === 'read' && random.chance(0.3) ? [...this.out].find(({ number }) => number > 0) : undefined;
    if (seen === undefined) this.submit(volume, io, lba, count);
    else this.submit(volume, io, seen.positionBytes / SECTOR_BYTES, seen.lengthBytes / SECTOR_BYTES);
  }

  private submit(volume: Volume, io: UserIo, lba: number, count: number): void {
    io.positionBytes = lba * SECTOR_BYTES;
    io.lengthBytes = count * SECTOR_BYTES;
    io.bufferOffset = this.random.int(0, 3);
    io.takesReceived = io.bufferOffset % 2 === 0;
    io.number = 0;
    io.isOut = true;
    io.volume = volume;
    io.epoch = epochOf(volume.target.volume?.identity ?? '');
    io.incarnations = this.oracle.incarnations;
    io.drops = this.oracle.drops;
    io.submittedMs = this.clock.monotonicMs();
    const needsBuffer = io.op === 'read' || io.op === 'write';
    if (needsBuffer && io.buffer.length < io.bufferOffset + io.lengthBytes)
      io.buffer = Buffer.alloc(2 * (io.bufferOffset + io.lengthBytes), SPOILED);
    this.prepare(io, lba, count);
    if (io.number > 0 && io.lengthBytes > SEGMENT_MIN_BYTES) this.oracle.goesInPieces(io.number);
    if (this.out.size === 0) this.busySinceMs = io.submittedMs;
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
        io.number = this.oracle.change(lba, count, io.buffer, io.bufferOffset, this.id);
        return;
      case 'zero':
      case 'discard':
        io.number = this.oracle.change(lba, count, null, 0, this.id);
        return;
      case 'flush':
        io.covered = this.oracle.flushBegins();
    }
  }

  private take(): UserIo {
    const io = this.free.length > 0 && this.random.chance(0.9) ? this.free.pop() : this.free.shift();
    if (io === undefined) return new UserIo((one, status) => this.ended(one, status));
    const checkedBytes = Math.min(io.buffer.length, io.bufferOffset + io.lengthBytes);
    if (checkedBytes > 0 && !isSpoiled(io.buffer, checkedBytes)) this.oracle.breach('S8: a buffer was written after its I/O was answered');
    return io;
  }

  private verifyAgain(): void {
    this.verifyAt = 0;
    this.clock.after(VERIFY_RETRY_MS, () => this.verifyNext());
  }

  private verifyNext(): void {
    if (this.verifyAt < 0 || this.out.size > 0 || this.isVerified || this.volume === null || this.isLeaving) return;
    const io = this.take();
    io.op = 'read';
    io.fua = false;
    const lba = this.verifyAt;
    const count = Math.min(VERIFY_SECTORS, this.oracle.sectors - lba);
    this.verifyAt += count;
    this.submit(this.volume, io, lba, count);
  }
}

function isSpoiled(buffer: Buffer, lengthBytes: number): boolean {
  return buffer[0] === SPOILED && (lengthBytes === 1 || buffer.compare(buffer, 1, lengthBytes, 0, lengthBytes - 1) === 0);
}
