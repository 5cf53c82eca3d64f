// Hosts of a gate over connections and a volume in memory: ICReq, Connect, admin and I/O commands, data behind R2T, digests, and arbitrary
// other bytes. Oracle: no exception. The volume's requests, the lent buffers and the output are bounded. Nothing that arrives after the end
// of a connection reaches the volume. No command is answered twice. Each connection ends once. A lost controller is gone after a successful
// reset. After the end, nothing is lent.

import { DataBuffers } from '@rsio/rsiod/frontends/streams/data-buffers';
import { MemoryBudget } from '@rsio/rsiod/frontends/streams/memory-budget';
import { GateOrder } from '@rsio/gates/order/gate-order';
import { VolumeOrder } from '@rsio/gates/order/volume-order';
import { HostBudgets } from '@rsio/gates/ports/host-budgets';
import { BatchPool } from '@rsio/rsiod/frontends/streams/transport';
import { MemoryTransport } from '@rsio/rsiod/frontends/nbd/testing/memory-transport';
import { NvmeConnection } from '@rsio/gates/nvme/nvme-connection';
import { Subsystem } from '@rsio/gates/nvme/subsystem';
import {
  answers,
  capsule,
  connectCommand,
  hostData,
  icRequest,
  pdu,
  type Answer,
  type Digests,
  type Sqe,
} from '@rsio/gates/nvme/testing/nvme-host';
import { GATE_ADMIN_ENTRIES, GATE_COPY_MAX_BYTES, GATE_LARGE_LOGS_MAX, GATE_QUEUE_ENTRIES, GATE_SMALL_LOG_BYTES } from '@rsio/gates/limits';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { expectThat, type FuzzTarget } from '../../fixtures/fuzz-target.ts';
import { playFrontend, VOLUME_BYTES, type ScriptedVolume } from '../../fixtures/scripted-volume.ts';
import { mutatedScript, scriptPieces, type Step, step } from '../../makers/script.ts';

const NQN = 'nqn.2014-08.org.nvmexpress:uuid:99999999-8888-7777-6666-555555555555';
const KIND = { BYTES: 0, VOLUME: 1, FRONTEND: 2, SENT: 3, FAIL: 4, OWED: 5, CLOSE: 6, TIME: 7, GAP: 8 } as const;
const KINDS = 9;
/** An admin queue, two I/O queues, and a queue of another host. */
const HOSTS = 4;
const ROUNDS_MAX = 1000;
const MIB = 1024 * 1024;
/** So small that inputs often reach it, and larger than the largest command. */
const BUDGET = { limitBytes: DataBuffers.memoryBytes(2 * MIB), reserveBytes: DataBuffers.memoryBytes(8192), smallBytes: 4096 };
const SMALL_ANSWER_BYTES = 256;
/** The instances of all controllers differ in their uniquifiers alone, so that inputs can name them. */
const RANDOM_BYTE = 5;
const NUMBER = Buffer.alloc(8, RANDOM_BYTE);
const CROSS_RESET = 0x38;

/** One connection with what its host has sent and got, read without the codec of the gate. */
class Host {
  readonly transport = new MemoryTransport();
  readonly connection: NvmeConnection;
  finished = 0;
  isClosed = false;
  /** Number of requests that the volume had got when the gate ended the connection. */
  private executedAtEnd: number | null = null;
  private digests: Digests = { header: false, data: false };
  /** For each command number, commands sent minus answers. */
  private readonly open = new Map<number, number>();
  /** For each command number, CDW10 of a cross-controller reset of an existing controller; null if another command has the same number. */
  private readonly resets = new Map<number, number | null>();
  private readonly asked: Extract<Answer, { kind: 'r2t' }>[] = [];
  private sent = Buffer.alloc(0);
  private rest = Buffer.alloc(0);
  private readonly scene: Scene;

  constructor(scene: Scene) {
    this.scene = scene;
    this.connection = new NvmeConnection(this.transport, scene.pools, {
      subsystem: ({ nqn }) => (nqn === NQN ? scene.subsystem : null),
      parties: () => null,
      unproven: () => undefined,
      connected: () => undefined,
      source: 'a',
      cut: () => undefined,
      closing: () => {
        this.executedAtEnd ??= scene.executed;
      },
      failed: (thrown) => {
        scene.mistake = thrown;
      },
      finished: () => void this.finished++,
    });
  }

  receive(bytes: Buffer): void {
    if (this.isClosed || bytes.length === 0 || this.scene.look()) return;
    const before = this.scene.executed;
    const wasOver = this.executedAtEnd !== null;
    this.note(bytes);
    const lent = Buffer.from(bytes);
    this.connection.receive(lent, 0, lent.length);
    lent.fill(0xdd);
    const allowed = wasOver ? before : (this.executedAtEnd ?? Number.POSITIVE_INFINITY);
    expectThat(this.scene.executed <= allowed, 'a command was executed after the end of its connection');
    let outstanding = 0;
    for (const count of this.open.values()) outstanding += count;
    const isBounded = this.executedAtEnd !== null || outstanding <= 4 * GATE_QUEUE_ENTRIES;
    expectThat(isBounded, `the gate took ${outstanding} commands without an answer`);
  }

  /** Sends a part of the data for which the gate has asked. */
  sendOwed(arg: number): void {
    const one = this.asked.shift();
    if (one === undefined) return;
    const bytes = arg % 4 === 0 ? Math.ceil(one.bytes / 2) : one.bytes;
    this.receive(hostData(one.cid, one.tag, one.offset, Buffer.alloc(bytes, arg), this.digests));
    if (bytes < one.bytes) this.asked.unshift({ ...one, offset: one.offset + bytes, bytes: one.bytes - bytes });
  }

  deliver(most: number): void {
    this.transport.deliver(most);
    this.rest = Buffer.concat([this.rest, this.transport.takeLeft()]);
    let end = 0;
    while (this.rest.length - end >= 8 && this.rest.length - end >= this.rest.readUInt32LE(end + 4)) end += this.rest.readUInt32LE(end + 4);
    for (const answer of answers(this.rest.subarray(0, end))) this.judge(answer);
    this.rest = this.rest.subarray(end);
  }

  /** Closes the socket if the gate has asked for its end. */
  follow(): void {
    if (this.transport.destroyed || (this.transport.ended && this.transport.waitingBytes === 0)) this.close();
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.transport.failWrites();
    this.connection.closed();
  }

  private judge(answer: Answer): void {
    if (answer.kind === 'ic') this.digests = { header: (answer.digests & 1) !== 0, data: (answer.digests & 2) !== 0 };
    if (answer.kind === 'r2t') this.asked.push(answer);
    if (answer.kind !== 'done' && !(answer.kind === 'data' && answer.isSuccess)) return;
    const left = (this.open.get(answer.cid) ?? 0) - 1;
    expectThat(left >= 0, `command ${answer.cid} has more answers than it was sent`);
    this.open.set(answer.cid, left);
    const order = this.resets.get(answer.cid) ?? null;
    if (answer.kind === 'done' && answer.status === 0 && answer.low === 1 && order !== null) this.scene.judgeReset(order);
    if (left === 0) this.resets.delete(answer.cid);
  }

  private note(bytes: Buffer): void {
    this.sent = Buffer.concat([this.sent, bytes]);
    while (this.sent.length >= 12) {
      const length = this.sent.readUInt32LE(4);
      if (length < 12) return;
      const cid = this.sent.readUInt16LE(10);
      if (this.sent[0] === 4 && this.sent.length >= length) {
        const before = this.open.get(cid) ?? 0;
        const order =
          this.sent[8] === CROSS_RESET && length >= 72 && this.sent.subarray(56, 64).equals(NUMBER) ? this.sent.readUInt32LE(48) : null;
        this.open.set(cid, before + 1);
        this.resets.set(cid, before === 0 && order !== null && this.scene.isThere(order) ? order : null);
      }
      if (this.sent.length < length) return;
      this.sent = this.sent.subarray(length);
    }
  }
}

class Scene {
  readonly data = new DataBuffers();
  readonly batches = new BatchPool();
  readonly order = new GateOrder();
  readonly budget = new MemoryBudget(BUDGET, (fire) => this.turns.push(fire));
  readonly shares = new HostBudgets({ ...BUDGET, limitBytes: DataBuffers.memoryBytes(MIB), reserveBytes: 0 }, (fire) =>
    this.turns.push(fire),
  );
  readonly pools = {
    data: this.data,
    batches: this.batches,
    budget: this.budget,
    hosts: this.shares,
    order: this.order,
    schedule: (fire: () => void) => void this.turns.push(fire),
    // No host has to authenticate.
    auth: { random: () => Buffer.alloc(0), sequence: () => 0, turns: { run: () => undefined, forget: () => undefined } },
  };
  readonly storage: ScriptedVolume;
  readonly subsystem: Subsystem;
  mistake: unknown = null;
  private readonly turns: (() => void)[] = [];
  private readonly hosts: readonly Host[];
  private nowMs = 1000;
  private hasGap = false;

  constructor(storage: ScriptedVolume) {
    this.storage = storage;
    this.subsystem = new Subsystem({
      nqn: NQN,
      discovery: null,
      number: 1,
      hasPartner: false,
      serial: '0123456789',
      version: '1.0',
      isHostAllowed: () => true,
      nowMs: () => this.nowMs,
      order: this.order,
      random: (bytes) => Buffer.alloc(bytes, RANDOM_BYTE),
      note: () => undefined,
    });
    this.subsystem.add({
      ana: 'optimized',
      isElsewhere: false,
      wanted: () => undefined,
      reservations: null,
      nsid: 1,
      volume: storage.volume,
      order: new VolumeOrder(this.order, VOLUME_BYTES),
    });
    this.hosts = Array.from({ length: HOSTS }, () => new Host(this));
  }

  get executed(): number {
    return this.storage.volume.seen.length;
  }

  /** Ends all connections if it is time for that, as a reload does. */
  look(): boolean {
    if (!this.hasGap) return false;
    this.hasGap = false;
    for (const { connection } of this.hosts) connection.close('a reload');
    return true;
  }

  take({ kind, arg, bytes }: Step): void {
    const host = this.hosts[arg % HOSTS]!;
    const value = arg >>> 2;
    switch (kind % KINDS) {
      case KIND.BYTES:
        host.receive(bytes);
        break;
      case KIND.VOLUME:
        this.storage.answerSome(value);
        break;
      case KIND.FRONTEND:
        this.turn();
        break;
      case KIND.SENT:
        for (const one of this.hosts) one.deliver(1 + (value % 8));
        // A socket ends some time after the gate has asked for its end, so that bytes arrive meanwhile.
        for (const one of this.hosts) one.follow();
        break;
      case KIND.FAIL:
        this.storage.failNext(value);
        break;
      case KIND.OWED:
        host.sendOwed(value);
        break;
      case KIND.TIME:
        this.pass(value * 500);
        break;
      case KIND.GAP:
        this.hasGap = value % 8 === 0;
        break;
      default:
        if (value % 8 === 0) host.close();
    }
    this.judge();
  }

  /** A host was told that the controller with this id and uniquifier (CDW10) is gone. */
  judgeReset(order: number): void {
    expectThat(!this.isThere(order), 'a host was told that a controller is gone which is not');
  }

  isThere(order: number): boolean {
    return this.subsystem.controllers.get(order & 0xffff)?.instance.uniquifier === ((order >>> 16) & 0xff);
  }

  /** Lets all commands end, and ends all connections. */
  finish(): void {
    for (let round = 0; round < ROUNDS_MAX && this.isBusy; round++) this.settle();
    for (const one of this.hosts) one.close();
    const { executed } = this;
    for (let round = 0; round < ROUNDS_MAX && (this.storage.isWaiting || this.turns.length > 0); round++) this.settle();
    expectThat(this.executed === executed, 'a command was executed after the end of all connections');
    for (const { finished } of this.hosts) expectThat(finished === 1, `a connection has finished ${finished} times`);
    expectThat(this.subsystem.controllers.size === 0, `${this.subsystem.controllers.size} controllers are left`);
    const { underWay } = this.storage.volume;
    expectThat(underWay === 0, `${underWay} requests are in the volume after the end`);
    expectThat(this.shares.size === 0, `${this.shares.size} hosts have a share of the memory, and no connection`);
    expectThat(this.budget.usedBytes === 0 && this.budget.waits === 0, `${this.budget.usedBytes} bytes of the budget are not back`);
    expectThat(this.data.inUse === 0 && this.batches.inUse === 0, `${this.data.inUse} buffers and ${this.batches.inUse} batches are lent`);
  }

  private settle(): void {
    this.storage.answerAll();
    this.turn();
    for (const one of this.hosts) {
      one.deliver(Number.POSITIVE_INFINITY);
      one.follow();
    }
    this.judge();
  }

  private get isBusy(): boolean {
    return this.storage.isWaiting || this.turns.length > 0 || this.hosts.some(({ transport }) => transport.waitingBytes > 0);
  }

  private turn(): void {
    for (const fire of this.turns.splice(0)) fire();
  }

  private pass(forMs: number): void {
    this.nowMs += forMs;
    for (const { connection } of this.hosts) connection.tick(this.nowMs);
    this.subsystem.tick();
  }

  private judge(): void {
    if (this.mistake !== null) throw new Error('Finding: a mistake of ours', { cause: this.mistake });
    const { underWay } = this.storage.volume;
    const commandsMax = 2 * HOSTS * GATE_QUEUE_ENTRIES;
    expectThat(underWay <= commandsMax && this.data.inUse <= commandsMax, `${underWay} requests are in the volume`);
    const { limitBytes, reserveBytes, smallBytes } = BUDGET;
    const budgetMax = limitBytes + reserveBytes + HOSTS * DataBuffers.memoryBytes(smallBytes);
    expectThat(this.budget.usedBytes <= budgetMax, `${this.budget.usedBytes} bytes of the budget are in use`);
    for (const { transport } of this.hosts) {
      const waitingMax = Math.max(
        budgetMax + 4 * GATE_QUEUE_ENTRIES * SMALL_ANSWER_BYTES,
        GATE_LARGE_LOGS_MAX * GATE_COPY_MAX_BYTES + 4 * GATE_ADMIN_ENTRIES * (GATE_SMALL_LOG_BYTES + SMALL_ANSWER_BYTES),
      );
      expectThat(transport.waitingBytes <= waitingMax, `${transport.waitingBytes} bytes wait`);
    }
  }
}

function run(input: Buffer): boolean {
  return playFrontend(input, (storage) => new Scene(storage));
}

function adminCommand(random: SeededRandom): Sqe {
  const cid = random.int(0, 40);
  const nsid = random.pick([0, 1, 1, 2, 0xffff_ffff]);
  const dword = (): number => random.pick([0, 1, 4, 0x14, 0xffff, 0xffff_ffff, random.int(0, 2 ** 32 - 1)]);
  switch (random.int(0, 10)) {
    case 0:
      return { opcode: 0x06, cid, nsid, dwords: [random.int(0, 8)], transferBytes: random.pick([4096, 4096, 0, 100]) };
    case 1:
      return {
        opcode: 0x02,
        cid,
        nsid,
        dwords: [random.int(0, 0x70) | random.pick([0x3ff_0000, 0xf_0000, 0x3fff_0000])],
        transferBytes: random.pick([4096, 65_536]),
      };
    case 2:
      return { opcode: 0x09, cid, dwords: [random.pick([6, 7, 0xb, 0xf]), dword()] };
    case 3:
      return { opcode: 0x0a, cid, dwords: [random.pick([6, 7, 0xb, 0xf])] };
    case 4:
      return { opcode: 0x0c, cid };
    case 5:
      return { opcode: 0x18, cid };
    case 6:
      return { opcode: 0x08, cid, dwords: [random.int(0, 2) | (random.int(0, 40) << 16)] };
    case 7:
      // Resets, shutdowns and restarts of the controller.
      return { opcode: 0x7f, fabricsType: 0, cid, dwords: [0, 0x14, random.pick([0x46_0000, 0x46_0001, 0x46_4001, dword()])] };
    case 8:
      return { opcode: 0x7f, fabricsType: 4, cid, dwords: [random.int(0, 1), random.pick([0, 8, 0x14, 0x1c, 3])] };
    case 9: {
      const number = random.chance(0.95) ? RANDOM_BYTE * 0x0101_0101 : dword();
      return { opcode: CROSS_RESET, cid, dwords: [random.int(0, 3) | (random.int(6, 9) << 16), 0, number, number] };
    }
    default:
      return { opcode: random.int(0, 255), cid, nsid, dwords: [dword(), dword()], transferBytes: random.pick([0, 4096]) };
  }
}

function ioCommand(random: SeededRandom): Sqe {
  const cid = random.int(0, 140);
  const opcode = random.pick([0, 1, 1, 1, 2, 2, 2, 5, 8, 9, 0x0c, random.int(0, 255)]);
  const nsid = random.chance(0.95) ? 1 : random.int(0, 3);
  const flags = random.chance(0.97) ? 0x40 : random.int(0, 255);
  if (opcode === 9) {
    const ranges = Buffer.alloc(16 * random.int(1, 8), 0);
    for (let at = 0; at < ranges.length; at += 16) ranges.writeUInt32LE(random.pick([0, 1, 8, 0xffff_ffff]), at + 4);
    const dwords = [ranges.length / 16 - 1, random.pick([4, 4, 0])];
    return random.chance(0.5) ? { opcode, cid, nsid, data: ranges, dwords } : { opcode, cid, nsid, transferBytes: ranges.length, dwords };
  }
  const blockBytes = random.pick([512, 512, 4096]);
  const bytes = blockBytes * random.pick([1, 2, 8, 16, 16, random.int(1, 256)]);
  const blocks = VOLUME_BYTES / blockBytes;
  const dwords = [random.pick([0, 1, blocks - 1, blocks, random.int(0, blocks)]), random.chance(0.98) ? 0 : 0xffff_ffff];
  dwords.push((bytes / blockBytes - 1) | random.pick([0, 0, 2 ** 30, 2 ** 25]));
  const hasData = opcode === 1 || opcode === 2 || opcode === 5;
  if (opcode !== 2 && hasData && bytes <= 8192 && random.chance(0.5))
    return { opcode, cid, nsid, flags, dwords, data: Buffer.alloc(bytes, 7) };
  return { opcode, cid, nsid, flags, dwords, transferBytes: hasData ? bytes : 0 };
}

function opening(random: SeededRandom, digests: Digests): Step[] {
  const keepAliveMs = random.pick([0, 5000, 5000, 100]);
  const flowControlOff = random.chance(0.3);
  const login = (qid: number): Buffer =>
    capsule(
      connectCommand({
        nqn: random.chance(0.97) ? NQN : 'nqn.other',
        qid,
        entries: qid === 0 ? random.pick([2, 32, 32]) : random.pick([2, 8, 128, 128, 129]),
        cntlid: qid === 0 ? 0xffff : 1,
        keepAliveMs,
        flowControlOff,
      }),
      digests,
    );
  const enabled = capsule({ opcode: 0x7f, fabricsType: 0, cid: 1, dwords: [0, 0x14, 0x46_0001] }, digests);
  const first = [step(KIND.BYTES, 0, Buffer.concat([icRequest(digests), login(0), enabled])), step(KIND.FRONTEND), step(KIND.SENT, 28)];
  const queues = [1, 2].map((qid) => step(KIND.BYTES, qid, Buffer.concat([icRequest(digests), login(qid)])));
  const other = random.chance(0.3) ? [step(KIND.BYTES, 3, Buffer.concat([icRequest(digests), login(0), enabled]))] : [];
  return [...first, ...queues, ...other, step(KIND.FRONTEND), step(KIND.SENT, 28)];
}

function make(random: SeededRandom): Buffer {
  const digests = { header: random.chance(0.3), data: random.chance(0.3) };
  const options = random.pick([0, 0, 1, 2, 3]);
  const one = (): Step => {
    const host = random.pick([0, 1, 1, 1, 2, 3]);
    if (random.chance(0.03))
      return step(
        KIND.BYTES,
        host,
        random.chance(0.5) ? random.bytes(random.int(1, 200)) : pdu(random.int(0, 9), random.bytes(16), Buffer.alloc(0)),
      );
    const command = (): Sqe => (host === 0 || host === 3 ? adminCommand(random) : ioCommand(random));
    if (random.chance(0.5)) {
      // Sometimes, there are more commands than the queue has entries.
      const count = random.chance(0.99) ? random.int(1, 5) : random.int(100, 900);
      return step(KIND.BYTES, host, Buffer.concat(Array.from({ length: count }, () => capsule(command(), digests))));
    }
    const { VOLUME, FRONTEND, SENT, OWED, FAIL, CLOSE, TIME, GAP } = KIND;
    const kind = random.pick([VOLUME, VOLUME, FRONTEND, FRONTEND, SENT, SENT, OWED, OWED, OWED, FAIL, CLOSE, TIME, GAP]);
    return step(kind, random.int(0, 255));
  };
  // The first step chooses the volume. It sends no bytes to the host with the number `options`.
  const steps = [step(KIND.SENT, options), ...opening(random, digests), ...Array.from({ length: random.int(1, 24) }, one)];
  return mutatedScript(random, steps, one);
}

export const gateHosts: FuzzTarget = {
  name: 'gate-hosts',
  deep: 'the volume was asked for something',
  fixedSeeds: 250,
  make,
  run,
  pieces: scriptPieces,
};
