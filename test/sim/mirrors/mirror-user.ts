// A user of a mirror at one client. The user submits random I/O through the interface of a frontend, several I/Os at a time. The oracle of
// the mirror judges the answers. The user outlives client processes, loses the mirror to other users, and takes it back. At the end, one
// user reads the whole mirror and detaches it.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { ReplicaView } from '@rsio/protocol/mirror/membership/interface';
import { MirrorIo } from '@rsio/protocol/mirror/io/mirror-io';
import { TAKE, type Take } from '@rsio/protocol/wire/messages';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import type { VolumeIo, VolumeOp } from '@rsio/rsiod/volumes/frontend-volume';
import type { Volume } from '@rsio/rsiod/volumes/volume';
import type { SimProcess } from '../base/sim-clock.ts';
import type { Trace } from '../base/trace.ts';
import type { Covered } from './answered-log.ts';
import type { MirrorOracle } from './mirror-oracle.ts';
import type { SimClient } from '../machines/sim-client.ts';

export interface MirrorUserPorts {
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly client: SimClient;
  readonly name: string;
  readonly oracle: MirrorOracle;
  /** Whether the mirror exists. */
  isFounded(): boolean;
  /** Whether the disk of this replica is lost for good. */
  isLost(identity: string): boolean;
  /** Time at which a replica's storage last failed. */
  failedMs(): number;
  /** Sectors at which most I/O begins. */
  readonly hot: readonly number[];
  readonly depth: number;
  /** `forceChance`: chance of a take-over by force after a failed attach. `detachChance`: chance of a detach before the next I/O. */
  readonly forceChance: number;
  readonly detachChance: number;
  readonly thinkMs: number;
}

const SPOILED = 0x5b;
const OPS: readonly VolumeOp[] = ['read', 'read', 'read', 'read', 'write', 'write', 'write', 'write', 'zero', 'discard', 'flush'];
const COUNT_MAX = 8;
const HOT_SECTORS = 24;
const VERIFY_SECTORS = 1024;
const VERIFY_RETRY_MS = 100;
const DETACH_FORCE_CHANCE = 0.2;
const AGAIN_MS = 200;
/** Without faults, every replica returns within this time. */
export const RETURN_MAX_MS = 60_000;

class MirrorUserIo implements VolumeIo {
  op: VolumeOp = 'read';
  positionBytes = 0;
  lengthBytes = 0;
  buffer: Buffer = Buffer.alloc(0);
  bufferOffset = 0;
  fua = false;
  mustKeepAllocated = false;
  number = 0;
  term = 0;
  lowerings = 0;
  submittedMs = 0;
  isOut = false;
  volume: Volume | null = null;
  ticket: Float64Array = new Float64Array(COUNT_MAX);
  covered: Covered | null = null;
  private readonly ended: (io: MirrorUserIo, status: Status) => void;

  constructor(ended: (io: MirrorUserIo, status: Status) => void) {
    this.ended = ended;
  }

  done(status: Status): void {
    this.ended(this, status);
  }
}

export class MirrorUser {
  readonly name: string;
  completed = 0;
  /** Number of times that this user lost the mirror to another user. */
  losses = 0;
  /** `attaches`: number of times that the user got the mirror. `takeOvers`: how many times by force. */
  attaches = 0;
  takeOvers = 0;
  volume: Volume | null = null;
  /** Whether the user takes the mirror by force until it has read and detached the whole mirror. */
  isLast = false;
  isDone = false;
  /** Whether the user has waited for absent replicas to return. */
  hasWaited = false;
  isAttaching = false;
  private process: SimProcess | null = null;
  private readonly ports: MirrorUserPorts;
  private readonly out = new Set<MirrorUserIo>();
  private free: MirrorUserIo[] = [];
  private left: number;
  private verifyAt = -1;
  private isLeaving = false;
  private waitedMs: number | null = null;
  private tries = 0;

  constructor(ports: MirrorUserPorts, ios: number) {
    this.ports = ports;
    this.name = `${ports.name}-${ports.client.name}`;
    this.left = ios;
  }

  get hasWorked(): boolean {
    return this.left <= 0;
  }

  get oldestMs(): number {
    for (const { submittedMs } of this.out) return submittedMs;
    return Number.POSITIVE_INFINITY;
  }

  get isGood(): boolean {
    return this.ports.client.isGood;
  }

  /** Whether the mirror says what it waits for. */
  get isTold(): boolean {
    const { volume } = this;
    if (volume === null) return true;
    const { target } = volume;
    return (
      target.standing !== 'ready' ||
      target.reason !== '' ||
      (this.ports.client.attachments.mirrors.of(target)?.view?.waitsFor ?? null) !== null
    );
  }

  get state(): string {
    const [oldest] = this.out;
    const what = oldest === undefined ? 'nothing is out' : `${oldest.op} of sector ${oldest.positionBytes / SECTOR_BYTES} is out`;
    const { volume } = this;
    return `${this.name}: ${volume === null ? 'not attached' : `attached, ${volume.target.standing}, ${volume.target.reason}`}, ${what}, verified up to ${this.verifyAt}`;
  }

  /** Submits no more random I/O. */
  stop(): void {
    this.left = 0;
  }

  begin(process: SimProcess): void {
    this.process = process;
    void this.live(process);
  }

  /** The client process has ended: no answer to its requests in flight will ever arrive. */
  killed(): void {
    this.loseLog();
    this.volume = null;
    this.isAttaching = false;
    this.out.clear();
    this.free = [];
    this.isLeaving = false;
    if (this.verifyAt >= 0) this.verifyAt = 0;
  }

  private async live(process: SimProcess): Promise<void> {
    const { random, thinkMs, detachChance } = this.ports;
    while (!this.isDone) {
      await wait(process, random.unit() * 2 * thinkMs);
      if (!this.ports.isFounded()) continue;
      if (this.volume === null) {
        if (this.left > 0 || this.isLast) await this.attach(process);
        continue;
      }
      if (this.isLast && this.left <= 0) await this.finish(process, this.volume);
      else if (this.left > 0 && random.chance(detachChance)) await this.detach(process, random.chance(DETACH_FORCE_CHANCE));
      else this.act(this.volume);
    }
  }

  private async attach(process: SimProcess): Promise<void> {
    const { client, name, random, oracle, trace, forceChance } = this.ports;
    const { attachments } = client;
    let take: Take = TAKE.NO;
    if (this.isLast || (this.tries++ > 0 && random.chance(forceChance))) take = TAKE.FORCE;
    this.isAttaching = true;
    const [outcome] = await attachments.attach([name], false, null, take);
    if (process.isKilled) return;
    this.isAttaching = false;
    const volume = attachments.list.find((one) => one.name === name);
    if (trace.isOn)
      trace.say(`${this.name}: attach ${take}: ${outcome?.error?.message ?? 'done'} ${attachments.list.map((one) => one.name).join(' ')}`);
    if (volume === undefined) {
      await wait(process, AGAIN_MS);
      return;
    }
    this.attaches++;
    if (take === TAKE.FORCE) this.takeOvers++;
    this.volume = volume;
    this.waitedMs = null;
    this.isLeaving = false;
    if (this.verifyAt > 0) this.verifyAt = 0;
    oracle.serves(termOf(volume));
    if (trace.isOn) trace.say(`${this.name}: serves term ${termOf(volume)}`);
  }

  private async detach(process: SimProcess, force: boolean): Promise<void> {
    const { client, name, oracle, trace } = this.ports;
    const { attachments } = client;
    const { volume } = this;
    this.isLeaving = true;
    const term = volume === null ? 0 : termOf(volume);
    const covered = oracle.flushBegins();
    const [outcome] = await attachments.detach([name], force, null);
    if (process.isKilled) return;
    if (trace.isOn)
      trace.say(
        `${this.name}: detach${force ? ' by force' : ''}: ${outcome?.error?.message ?? 'done'} ${attachments.list.map((one) => one.name).join(' ')}`,
      );
    this.isLeaving = false;
    if (attachments.list.some((one) => one.name === name)) return;
    if (force) oracle.ended(term);
    else if (outcome?.done === true && outcome.error === null) oracle.flushed(covered);
    if (this.volume === volume) this.volume = null;
    // The last user is done only if the servers have stored the detach. If they have not, the last user attaches and detaches again.
    if (this.isLast && !force && outcome?.error === null && !outcome.already) this.isDone = true;
  }

  /** Reads the whole mirror, and detaches it cleanly. */
  private async finish(process: SimProcess, volume: Volume): Promise<void> {
    const { oracle } = this.ports;
    if (this.verifyAt < 0) {
      this.verifyAt = 0;
      this.verifyNext(volume);
    }
    if (this.out.size > 0) return;
    if (this.verifyAt < oracle.sectors) {
      this.verifyNext(volume);
      return;
    }
    if (!this.isInSync(process, volume)) return;
    await this.detach(process, false);
    if (!this.isDone && this.volume === null) this.verifyAt = 0;
  }

  /** Whether all replicas have returned, or have had enough time. */
  private isInSync(process: SimProcess, volume: Volume): boolean {
    const view = this.ports.client.attachments.mirrors.of(volume.target)?.view ?? null;
    const isThere = (one: ReplicaView): boolean => one.role === 'member' || this.ports.isLost(one.identity);
    if (view?.isServing === true && !view.isPending && view.replicas.every(isThere)) return true;
    this.waitedMs ??= process.monotonicMs();
    this.hasWaited = process.monotonicMs() - this.waitedMs > RETURN_MAX_MS;
    return this.hasWaited;
  }

  private act(volume: Volume): void {
    const { random, depth } = this.ports;
    if (this.isLeaving) return;
    for (let count = random.int(1, depth); count > 0 && this.left > 0 && this.out.size < depth; count--) this.submitRandom(volume);
  }

  private submitRandom(volume: Volume): void {
    const { random, oracle, hot } = this.ports;
    const io = this.take();
    io.op = random.pick(OPS);
    const count = io.op === 'flush' ? 0 : random.int(1, COUNT_MAX);
    const room = oracle.sectors - count;
    const lba =
      io.op === 'flush' ? 0 : Math.min(room, random.chance(0.95) ? random.pick(hot) + random.int(0, HOT_SECTORS) : random.int(0, room));
    io.fua = io.op === 'write' && random.chance(0.1);
    io.mustKeepAllocated = io.op === 'zero' && random.chance(0.5);
    this.left--;
    this.submit(volume, io, lba, count);
  }

  private submit(volume: Volume, io: MirrorUserIo, lba: number, count: number): void {
    const { oracle, trace, random } = this.ports;
    io.positionBytes = lba * SECTOR_BYTES;
    io.lengthBytes = count * SECTOR_BYTES;
    io.bufferOffset = random.int(0, 3);
    io.number = 0;
    io.isOut = true;
    io.volume = volume;
    io.term = termOf(volume);
    io.lowerings = oracle.lowerings;
    io.submittedMs = this.process?.monotonicMs() ?? 0;
    if (io.buffer.length < io.bufferOffset + io.lengthBytes) io.buffer = Buffer.alloc(2 * (io.bufferOffset + io.lengthBytes), SPOILED);
    if (io.op === 'read') {
      if (io.ticket.length < count) io.ticket = new Float64Array(count);
      oracle.issueRead(lba, count, io.ticket);
    } else if (io.op === 'flush') io.covered = oracle.flushBegins();
    else io.number = oracle.change(io.term, lba, count, io.op === 'write' ? io.buffer : null, io.bufferOffset);
    this.out.add(io);
    if (trace.isOn) trace.say(`${this.name}: ${io.op} ${lba} + ${count} number ${io.number}`);
    volume.submit(io);
  }

  private ended(io: MirrorUserIo, status: Status): void {
    const { oracle, trace } = this.ports;
    if (!io.isOut || !this.out.delete(io)) {
      oracle.breach(`${io.op} of ${this.name} was answered that is not out`);
      return;
    }
    io.isOut = false;
    this.completed++;
    const lba = io.positionBytes / SECTOR_BYTES;
    if (trace.isOn) trace.say(`${this.name}: ${io.op} ${lba} number ${io.number}: status ${status}`);
    if (status === STATUS.OK) this.answered(io, lba);
    else this.failed(io, status, lba);
    io.buffer.fill(SPOILED, 0, Math.min(io.buffer.length, io.bufferOffset + io.lengthBytes));
    this.free.push(io);
    if (status === STATUS.OK && this.verifyAt >= 0 && io.volume === this.volume && this.volume !== null) this.verifyNext(this.volume);
    else if (status !== STATUS.OK && this.verifyAt >= 0) this.verifyAgain();
  }

  private answered(io: MirrorUserIo, lba: number): void {
    const { oracle } = this.ports;
    const count = io.lengthBytes / SECTOR_BYTES;
    if (io.op === 'flush') oracle.flushed(io.covered!);
    else if (io.op !== 'read') oracle.changed(io.number, lba, count, io.fua);
    else oracle.readDone(io.term, io.lowerings === oracle.lowerings ? io.ticket : null, lba, count, io.buffer, io.bufferOffset);
  }

  private failed(io: MirrorUserIo, status: Status, lba: number): void {
    const { oracle } = this.ports;
    if (status === STATUS.TAKEN) {
      if (io.volume === this.volume && this.volume !== null) this.lost();
      return;
    }
    // The client has ended, or the detach was by force.
    if (status === STATUS.SHUTTING_DOWN || status === STATUS.OUTCOME_UNKNOWN) return;
    const isStorages = (status === STATUS.IO_ERROR || status === STATUS.NO_SPACE) && this.ports.failedMs() >= io.submittedMs;
    if (!isStorages && io.volume === this.volume)
      oracle.breach(`${io.op} of sector ${lba} of ${this.name} ended with ${statusEntry(status).name}, which nobody caused`);
  }

  /** Another client has taken the mirror. */
  private lost(): void {
    this.losses++;
    this.loseLog();
    this.volume = null;
    if (this.verifyAt >= 0) this.verifyAt = 0;
  }

  private loseLog(): void {
    if (this.volume !== null) this.ports.oracle.ended(termOf(this.volume));
  }

  private verifyNext(volume: Volume): void {
    const { oracle } = this.ports;
    if (this.verifyAt < 0 || this.verifyAt >= oracle.sectors || this.out.size > 0 || this.isLeaving) return;
    const io = this.take();
    io.op = 'read';
    io.fua = false;
    const lba = this.verifyAt;
    const count = Math.min(VERIFY_SECTORS, oracle.sectors - lba);
    this.verifyAt += count;
    this.submit(volume, io, lba, count);
  }

  private verifyAgain(): void {
    this.verifyAt = 0;
    const { process } = this;
    process?.after(VERIFY_RETRY_MS, () => {
      if (this.volume !== null && this.process === process) this.verifyNext(this.volume);
    });
  }

  private take(): MirrorUserIo {
    return this.free.shift() ?? new MirrorUserIo((io, status) => this.ended(io, status));
  }
}

/** The number of the claim under which a mirror is attached. */
export function termOf({ target }: Volume): number {
  return target instanceof MirrorIo ? target.term : 0;
}

function wait(process: SimProcess, ms: number): Promise<void> {
  return new Promise((resolve) => {
    process.after(ms, resolve);
  });
}
