// A user of one volume at one client of a simulated farm: random I/O, several at a time, which overlap on purpose. The judge of the volume
// judges the answers. The user outlives the processes of its client. Invariant: no I/O ends with an error, unless the volume was taken over.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import type { VolumeIo, VolumeOp } from '@rsio/rsiod/volumes/frontend-volume';
import type { Volume } from '@rsio/rsiod/volumes/volume';
import type { SimClock, SimProcess } from '../base/sim-clock.ts';
import { EVENT, type Trace } from '../base/trace.ts';
import type { FarmJudge } from './farm-judge.ts';

export interface FarmUserShape {
  readonly ios: number;
  readonly depth: number;
  /** Mean time between two submissions, each of up to a quarter of the depth. */
  readonly thinkMs: number;
  /** The chance that the user submits another I/O as soon as one has ended. */
  readonly goOnChance: number;
  readonly flushChance: number;
  readonly fuaChance: number;
}

export interface FarmUserPorts {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly trace: Trace;
}

const SECTORS_MAX = 4;

class FarmIo implements VolumeIo {
  op: VolumeOp = 'read';
  positionBytes = 0;
  lengthBytes = 0;
  readonly buffer = Buffer.alloc(SECTORS_MAX * SECTOR_BYTES);
  readonly bufferOffset = 0;
  fua = false;
  readonly mustKeepAllocated = false;
  number = 0;
  submittedMs = 0;
  /** Number of deaths of clients of the volume before the submission. */
  deaths = 0;
  volume: Volume | null = null;
  readonly least = new Uint32Array(SECTORS_MAX);
  covered: Uint32Array = new Uint32Array(0);
  private readonly ended: (io: FarmIo, status: Status) => void;

  constructor(ended: (io: FarmIo, status: Status) => void) {
    this.ended = ended;
  }

  done(status: Status): void {
    this.ended(this, status);
  }
}

export class FarmUser {
  readonly name: string;
  readonly client: number;
  readonly judge: FarmJudge;
  volume: Volume | null = null;
  process: SimProcess | null = null;
  completed = 0;
  isAttaching = false;
  /** Number of times that the volume was taken from this user. */
  losses = 0;
  private left: number;
  private attachedMs = 0;
  private deaths = 0;
  /** The next sector of the final read of the volume; negative: the final read has not begun. */
  private verifyAt = -1;
  private readonly out = new Set<FarmIo>();
  private readonly free: FarmIo[] = [];
  private readonly shape: FarmUserShape;
  private readonly ports: FarmUserPorts;

  constructor(client: number, judge: FarmJudge, shape: FarmUserShape, ports: FarmUserPorts) {
    this.name = `${judge.volume.id}-node${client}`;
    this.client = client;
    this.judge = judge;
    this.left = shape.ios;
    this.shape = shape;
    this.ports = ports;
    this.think();
  }

  get isDone(): boolean {
    return this.left === 0;
  }

  get outstanding(): number {
    return this.out.size;
  }

  get oldest(): string {
    for (const { op, positionBytes, number, submittedMs } of this.out)
      return `${op} of sector ${positionBytes / SECTOR_BYTES} (number ${number}) from ${submittedMs.toFixed(1)} ms`;
    return 'nothing';
  }

  attached(volume: Volume, process: SimProcess): void {
    this.volume = volume;
    this.process = process;
    this.attachedMs = this.ports.clock.monotonicMs();
    if (this.verifyAt >= 0) this.verifyNext();
    else this.act();
  }

  /** The process of the client has died. What was in flight has an unknown outcome. */
  killed(): void {
    if (this.judge.isHeldBy(this.client)) this.judge.dropped();
    this.judge.gone(this.client);
    this.deaths++;
    this.volume = null;
    this.isAttaching = false;
    this.out.clear();
    if (this.verifyAt >= 0) this.verifyAt = 0;
  }

  /** Another client has the volume. */
  lost(): void {
    this.losses++;
    this.judge.taken(this.client);
    this.volume = null;
    if (this.verifyAt >= 0) this.verifyAt = 0;
  }

  /** Stops random I/O, and reads the whole volume. */
  verify(): void {
    this.left = 0;
    if (this.verifyAt >= 0) return;
    this.verifyAt = 0;
    this.verifyNext();
  }

  stop(): void {
    this.left = 0;
  }

  /** Whether the user takes the volume by force, whichever client has it. */
  get insists(): boolean {
    return this.verifyAt >= 0;
  }

  get isVerified(): boolean {
    return this.verifyAt >= this.judge.volume.sectors && this.out.size === 0;
  }

  private think(): void {
    const { clock, random } = this.ports;
    clock.repeat(random.unit() * this.shape.thinkMs, () => {
      if (this.left === 0) return null;
      this.act();
      return random.unit() * 2 * this.shape.thinkMs;
    });
  }

  private act(): void {
    const { volume, shape } = this;
    if (volume === null || this.process?.isPaused === true) return;
    // The queue fills slowly, so that I/Os are submitted at all times of an outage.
    let count = this.ports.random.int(1, Math.ceil(shape.depth / 4));
    while (count-- > 0 && this.left > 0 && this.out.size < shape.depth && this.volume !== null) this.submitRandom(volume);
  }

  private submitRandom(volume: Volume): void {
    const { random } = this.ports;
    const { judge, shape } = this;
    const io = this.free.pop() ?? new FarmIo((one, status) => this.ended(one, status));
    this.left--;
    const draw = random.unit();
    io.op = draw < shape.flushChance ? 'flush' : draw < shape.flushChance + (1 - shape.flushChance) / 2 ? 'read' : 'write';
    const { shared, clients, sectors } = judge.volume;
    let [from, room] = [0, sectors];
    if (shared && io.op === 'write') {
      // Each client writes to its own part.
      room = Math.floor(sectors / clients.length);
      from = room * clients.indexOf(`node${this.client}`);
    }
    const count = io.op === 'flush' ? 0 : random.int(1, Math.min(SECTORS_MAX, room));
    io.fua = io.op === 'write' && random.chance(shape.fuaChance);
    this.submit(volume, io, io.op === 'flush' ? 0 : from + random.int(0, room - count), count);
  }

  private submit(volume: Volume, io: FarmIo, sector: number, count: number): void {
    const { judge, ports } = this;
    io.positionBytes = sector * SECTOR_BYTES;
    io.lengthBytes = count * SECTOR_BYTES;
    io.submittedMs = ports.clock.monotonicMs();
    io.volume = volume;
    io.deaths = this.deaths;
    io.number = 0;
    if (io.op === 'read') judge.readBegins(sector, count, io.least);
    else if (io.op === 'write') io.number = judge.write(sector, count, this.client, io.buffer);
    else io.covered = judge.flushBegins();
    this.out.add(io);
    ports.trace.note(EVENT.SUBMITTED, sector, count, io.number);
    if (ports.trace.isOn) ports.trace.say(`${this.name}: ${io.op} ${sector} + ${count} number ${io.number}${io.fua ? ' FUA' : ''}`);
    volume.submit(io);
  }

  private ended(io: FarmIo, status: Status): void {
    const { judge, ports } = this;
    if (!this.out.delete(io)) return judge.breach(`${io.op} was answered that is not out`);
    this.completed++;
    ports.trace.note(EVENT.ANSWERED, io.positionBytes, status, io.number);
    if (ports.trace.isOn)
      ports.trace.say(`${this.name}: ${io.op} ${io.positionBytes / SECTOR_BYTES} number ${io.number}: status ${status}`);
    this.judgeIo(io, status);
    this.free.push(io);
    if (status !== STATUS.OK) return;
    if (this.verifyAt >= 0) this.verifyNext();
    else if (this.left > 0 && this.volume !== null && ports.random.chance(this.shape.goOnChance)) this.submitRandom(this.volume);
  }

  private judgeIo(io: FarmIo, status: Status): void {
    const { judge, client } = this;
    const sector = io.positionBytes / SECTOR_BYTES;
    const count = io.lengthBytes / SECTOR_BYTES;
    if (status !== STATUS.OK) {
      const isExcused = status === STATUS.SHUTTING_DOWN || (status === STATUS.TAKEN && judge.mayLose(client)) || io.volume !== this.volume;
      if (!isExcused) judge.breach(`G1: ${io.op} of ${this.name} ended with ${statusEntry(status).name}`);
      return;
    }
    judge.answered(client, io.submittedMs);
    if (io.op === 'write') judge.writeDone(io.number, sector, count, io.fua || judge.volume.shared);
    else if (io.op === 'flush') judge.flushDone(io.covered);
    else judge.readDone(sector, count, io.least, io.buffer, 0, client, this.attachedMs, io.deaths === this.deaths);
  }

  private verifyNext(): void {
    if (this.verifyAt < 0 || this.out.size > 0 || this.isVerified || this.volume === null) return;
    const io = this.free.pop() ?? new FarmIo((one, status) => this.ended(one, status));
    io.op = 'read';
    io.fua = false;
    const sector = this.verifyAt;
    const count = Math.min(SECTORS_MAX, this.judge.volume.sectors - sector);
    this.verifyAt += count;
    this.submit(this.volume, io, sector, count);
  }
}
