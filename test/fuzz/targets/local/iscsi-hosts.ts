// Initiators of an iSCSI gate over connections and a volume in memory: logins, commands whose data travels in every way, task management,
// and arbitrary other bytes. Oracle: no exception. The volume's requests, the lent buffers and the output are bounded. Nothing that arrives
// after the end of a connection reaches the volume. No task is answered twice. Each connection ends once. After the end, nothing is lent.

import type { ClientGateConfig } from '@rsio/common/config/schema/types';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { DataBuffers } from '@rsio/rsiod/frontends/streams/data-buffers';
import { MemoryBudget } from '@rsio/rsiod/frontends/streams/memory-budget';
import { GateOrder } from '@rsio/gates/order/gate-order';
import { VolumeOrder } from '@rsio/gates/order/volume-order';
import { HostBudgets } from '@rsio/gates/ports/host-budgets';
import { BatchPool } from '@rsio/rsiod/frontends/streams/transport';
import { MemoryTransport } from '@rsio/rsiod/frontends/nbd/testing/memory-transport';
import type { GateConnection } from '@rsio/gates/ports/gate-protocol';
import { IscsiProtocol } from '@rsio/gates/iscsi-protocol';
import { HOST, type HostDigests, keysOf, loginPdu, pdu, type TargetPdu, targetPdus } from '@rsio/gates/iscsi/testing/iscsi-host';
import { GATE_PING_BYTES, GATE_SESSION_COMMANDS, GATE_UNSENT_MAX } from '@rsio/gates/limits';
import { Reservations } from '@rsio/gates/reservations/reservations';
import { expectThat, type FuzzTarget } from '../../fixtures/fuzz-target.ts';
import { playFrontend, VOLUME_BYTES, type ScriptedVolume } from '../../fixtures/scripted-volume.ts';
import { mutatedScript, scriptPieces, type Step, step } from '../../makers/script.ts';

const TARGET = 'iqn.2026-01.org.example:gate';
const KIND = { BYTES: 0, VOLUME: 1, GATE: 2, SENT: 3, FAIL: 4, OWED: 5, CLOSE: 6, TIME: 7, GAP: 8 } as const;
const KINDS = 9;
/** Two sessions, a session that replaces the first one by logging in again, and a session that looks for targets. */
const HOSTS = 4;
const LUN = 1;
const NO_TAG = 0xffff_ffff;
const ROUNDS_MAX = 1000;
const MIB = 1024 * 1024;
/** So small that inputs often reach it. */
const BUDGET = { limitBytes: DataBuffers.memoryBytes(2 * MIB), reserveBytes: DataBuffers.memoryBytes(4 * MIB), smallBytes: 8192 };
const CONFIG: ClientGateConfig = {
  name: 'hv',
  protocol: 'iscsi',
  nqn: null,
  addresses: [{ address: '192.0.2.5', port: 3260 }],
  hosts: null,
  volumes: 'all',
  member: null,
  secretFile: null,
  secrets: null,
  tls: false,
  tlsKeys: new Map(),
};

/** One connection with what its host has sent and got, read without the codec of the gate. */
class Host {
  readonly transport = new MemoryTransport();
  readonly connection: GateConnection;
  finished = 0;
  isClosed = false;
  /** Number of requests that the volume had got when the gate ended the connection. */
  private executedAtEnd: number | null = null;
  private digests: HostDigests = { header: false, data: false };
  /** For each tag, commands sent minus answers. */
  private readonly open = new Map<number, number>();
  private readonly asked: { tag: number; transferTag: number; offset: number; bytes: number; sn: number }[] = [];
  private sent: Buffer = Buffer.alloc(0);
  /** The digests in the data that the host sends. They begin after the last request of its login. */
  private sentDigests: HostDigests = { header: false, data: false };
  private rest: Buffer = Buffer.alloc(0);
  private readonly scene: Scene;

  constructor(scene: Scene) {
    this.scene = scene;
    this.connection = scene.protocol.connect(this.transport, {
      proven: () => undefined,
      refused: () => undefined,
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
  }

  /** Sends a part of the data for which the gate has asked. */
  sendOwed(arg: number): void {
    const one = this.asked.shift();
    if (one === undefined) return;
    const isWhole = arg % 4 !== 0;
    const bytes = isWhole ? one.bytes : Math.ceil(one.bytes / 2);
    const words = { 20: one.transferTag, 36: one.sn, 40: one.offset };
    const isFinal = bytes === one.bytes;
    this.receive(pdu({ opcode: 5, flags: isFinal ? 0x80 : 0, tag: one.tag, words, data: Buffer.alloc(bytes, arg) }, this.digests));
    if (!isFinal) this.asked.unshift({ ...one, offset: one.offset + bytes, bytes: one.bytes - bytes, sn: one.sn + 1 });
  }

  deliver(most: number): void {
    this.transport.deliver(most);
    const { pdus, rest } = targetPdus(Buffer.concat([this.rest, this.transport.takeLeft()]), this.digests);
    // The last answer of a login still has the digests of the login; the digests that it announces apply from the next call on.
    this.rest = rest;
    for (const one of pdus) this.judge(one);
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

  private judge({ opcode, flags, head, tag, data }: TargetPdu): void {
    if (opcode === 0x23 && (flags & 3) === 3) {
      const keys = keysOf(data);
      this.digests = { header: keys['HeaderDigest'] === 'CRC32C', data: keys['DataDigest'] === 'CRC32C' };
    }
    if (opcode === 0x31)
      this.asked.push({ tag, transferTag: head.readUInt32BE(20), offset: head.readUInt32BE(40), bytes: head.readUInt32BE(44), sn: 0 });
    const isAnswer = opcode === 0x21 || (opcode === 0x25 && (flags & 1) !== 0);
    if (!isAnswer) return;
    const left = (this.open.get(tag) ?? 0) - 1;
    expectThat(left >= 0, `task ${tag} has more answers than it was sent`);
    this.open.set(tag, left);
  }

  /** Counts commands wherever the bytes are cut. After wrong framing, it counts no further commands. */
  private note(bytes: Buffer): void {
    this.sent = Buffer.concat([this.sent, bytes]);
    while (this.sent.length >= 48) {
      const dataBytes = this.sent.readUIntBE(5, 3);
      const { header, data } = this.sentDigests;
      const behind = dataBytes === 0 ? 0 : dataBytes + (-dataBytes & 3) + (data ? 4 : 0);
      const length = 48 + 4 * this.sent[4]! + (header ? 4 : 0) + behind;
      if ((this.sent[0]! & 0x3f) === 1) {
        const tag = this.sent.readUInt32BE(16);
        this.open.set(tag, (this.open.get(tag) ?? 0) + 1);
      }
      if (this.sent.length < length) {
        // The command is counted again when the next bytes arrive, and may then get one more answer.
        return;
      }
      if ((this.sent[0]! & 0x3f) === 3 && (this.sent[1]! & 0x83) === 0x83) {
        const { HeaderDigest, DataDigest } = keysOf(this.sent.subarray(48, 48 + dataBytes));
        this.sentDigests = { header: HeaderDigest === 'CRC32C', data: DataDigest === 'CRC32C' };
      }
      this.sent = this.sent.subarray(length);
    }
  }
}

class Scene {
  readonly data = new DataBuffers();
  readonly batches = new BatchPool();
  readonly order = new GateOrder();
  readonly budget = new MemoryBudget(BUDGET, (fire) => this.turns.push(fire));
  readonly shares = new HostBudgets({ ...BUDGET, limitBytes: DataBuffers.memoryBytes(4 * MIB), reserveBytes: 0 }, (fire) =>
    this.turns.push(fire),
  );
  readonly storage: ScriptedVolume;
  readonly protocol: IscsiProtocol;
  mistake: unknown = null;
  private readonly turns: (() => void)[] = [];
  private readonly hosts: readonly Host[];
  private nowMs = 1000;
  private hasGap = false;

  constructor(storage: ScriptedVolume) {
    this.storage = storage;
    const pools = {
      data: this.data,
      batches: this.batches,
      budget: this.budget,
      hosts: this.shares,
      order: this.order,
      schedule: (fire: () => void) => void this.turns.push(fire),
    };
    const ports = { name: TARGET, version: '1.0', config: () => CONFIG, nowMs: () => this.nowMs, note: () => undefined };
    this.protocol = new IscsiProtocol(ports, pools);
    this.protocol.target.add({
      ana: 'optimized',
      isElsewhere: false,
      wanted: () => undefined,
      nsid: LUN,
      volume: storage.volume,
      reservations: new Reservations(null, () => Promise.resolve()),
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
      case KIND.GATE:
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
        this.pass(value * 200);
        break;
      case KIND.GAP:
        this.hasGap = value % 8 === 0;
        break;
      default:
        if (value % 8 === 0) host.close();
    }
    this.judge();
  }

  /** Lets all commands end, and ends all connections. */
  finish(): void {
    for (let round = 0; round < ROUNDS_MAX && this.isBusy; round++) this.settle();
    for (const one of this.hosts) one.close();
    const { executed } = this;
    for (let round = 0; round < ROUNDS_MAX && (this.storage.isWaiting || this.turns.length > 0); round++) this.settle();
    expectThat(this.executed === executed, 'a command was executed after the end of all connections');
    for (const { finished } of this.hosts) expectThat(finished === 1, `a connection has finished ${finished} times`);
    expectThat(this.protocol.logins === 0, `${this.protocol.logins} sessions are left`);
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
    this.protocol.tick();
  }

  private judge(): void {
    if (this.mistake !== null) throw new Error('Finding: a mistake of ours', { cause: this.mistake });
    const { underWay } = this.storage.volume;
    const commandsMax = 3 * HOSTS * GATE_SESSION_COMMANDS;
    expectThat(underWay <= commandsMax && this.data.inUse <= commandsMax, `${underWay} requests are in the volume`);
    const { limitBytes, reserveBytes, smallBytes } = BUDGET;
    const budgetMax = limitBytes + reserveBytes + HOSTS * DataBuffers.memoryBytes(smallBytes);
    expectThat(this.budget.usedBytes <= budgetMax, `${this.budget.usedBytes} bytes of the budget are in use`);
    const waitingMax = budgetMax + GATE_UNSENT_MAX * (GATE_PING_BYTES + 512);
    for (const { transport } of this.hosts) expectThat(transport.waitingBytes <= waitingMax, `${transport.waitingBytes} bytes wait`);
  }
}

function run(input: Buffer): boolean {
  return playFrontend(input, (storage) => new Scene(storage));
}

interface Numbers {
  cmdSn: number;
  tag: number;
}

const OPCODES = [
  ...[0x00, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x16, 0x17, 0x1a, 0x1b, 0x25, 0x2e, 0x2f, 0x34, 0x35, 0x41, 0x42, 0x55, 0x5a, 0x5e, 0x5f],
  ...[0x83, 0x84, 0x88, 0x89, 0x8a, 0x8b, 0x8e, 0x8f, 0x91, 0x93, 0x9e, 0xa0, 0xa3, 0xa4, 0xa8, 0xaa],
];

function cdbOf(random: SeededRandom, opcode: number, blocks: number): number[] {
  const block = random.pick([0, 1, VOLUME_BYTES / 512 - 1, VOLUME_BYTES / 512, random.int(0, VOLUME_BYTES / 512)]);
  const big = (value: number, bytes: number): number[] =>
    Array.from({ length: bytes }, (_, at) => Math.floor(value / 256 ** (bytes - 1 - at)) & 0xff);
  const flags = random.pick([0, 0, 0, 2, 8, 16, random.int(0, 255)]);
  if (opcode === 0x28 || opcode === 0x2a) return [opcode, flags & 0x1f, ...big(block, 4), 0, ...big(blocks, 2), 0];
  return random.chance(0.6)
    ? [opcode, flags, ...big(block, opcode < 0x80 ? 4 : 8), ...big(blocks, opcode < 0x80 ? 3 : 4), 0, 0]
    : [opcode, ...random.bytes(15)];
}

function command(random: SeededRandom, numbers: Numbers, digests: HostDigests): Buffer {
  const opcode = random.chance(0.7) ? random.pick([0x28, 0x28, 0x2a, 0x2a, 0x2a]) : random.pick(OPCODES);
  const blocks = random.pick([1, 1, 2, 8, 16, 128, random.int(0, 300)]);
  const bytes = random.chance(0.9) ? blocks * 512 : random.pick([0, 8, 24, 200, 4096, 3 * MIB, 2 ** 32 - 1]);
  const isRead = random.chance(0.95) ? opcode === 0x28 : random.chance(0.5);
  const isOut = !isRead && (opcode === 0x2a || random.chance(0.5));
  const isImmediate = random.chance(0.03);
  const sn = random.chance(0.98) ? (isImmediate ? numbers.cmdSn : numbers.cmdSn++) : random.int(0, 2 ** 32 - 1);
  const tag = random.chance(0.97) ? numbers.tag++ : random.int(0, 8);
  const firstBytes = isOut && random.chance(0.6) ? Math.min(bytes, random.pick([512, 512, 4096, 8192])) : 0;
  const isFinal = firstBytes >= bytes || random.chance(0.8);
  const flags = (isFinal ? 0x80 : 0) | (isRead ? 0x40 : 0) | (isOut ? 0x20 : 0) | random.int(0, 3);
  const data = firstBytes > 0 ? { data: Buffer.alloc(firstBytes, 7) } : {};
  const lun = random.chance(0.95) ? LUN : random.int(0, 500);
  const one = pdu(
    { opcode: 1, flags, isImmediate, lun, tag, words: { 20: bytes, 24: sn }, cdb: cdbOf(random, opcode, blocks), ...data },
    digests,
  );
  if (isFinal || !isOut) return one;
  const more = Buffer.alloc(Math.min(bytes - firstBytes, random.pick([512, 4096, 512])), 9);
  return Buffer.concat([one, pdu({ opcode: 5, tag, words: { 20: NO_TAG, 36: 0, 40: firstBytes }, data: more }, digests)]);
}

function request(random: SeededRandom, numbers: Numbers, digests: HostDigests): Buffer {
  const isImmediate = random.chance(0.7);
  const sn = isImmediate ? numbers.cmdSn : numbers.cmdSn++;
  const tag = numbers.tag++;
  switch (random.int(0, 6)) {
    case 0:
      return pdu(
        { opcode: 0, isImmediate, tag: random.pick([tag, NO_TAG]), words: { 20: NO_TAG, 24: sn }, data: random.bytes(9) },
        digests,
      );
    case 1: {
      const words = { 20: random.int(0, numbers.tag), 24: sn };
      return pdu({ opcode: 2, isImmediate, flags: 0x80 | random.int(0, 9), lun: random.pick([LUN, LUN, 2]), tag, words }, digests);
    }
    case 2: {
      const text = random.pick(['SendTargets=All\0', 'SendTargets=\0', `SendTargets=${TARGET}\0`, 'X-a=1\0', 'nonsense']);
      return pdu({ opcode: 4, isImmediate, tag, words: { 20: random.pick([NO_TAG, 1]), 24: sn }, data: Buffer.from(text) }, digests);
    }
    case 3:
      return random.chance(0.2)
        ? pdu({ opcode: 6, isImmediate, flags: 0x80 | random.int(0, 2), tag, words: { 24: sn } }, digests)
        : pdu({ opcode: 0x10, tag, words: { 24: sn } }, digests);
    case 4: {
      const words = { 20: random.pick([NO_TAG, 0, 1]), 36: random.int(0, 2), 40: random.pick([0, 512]) };
      return pdu({ opcode: 5, tag: random.int(0, numbers.tag), words, data: Buffer.alloc(512, 3) }, digests);
    }
    default:
      return pdu({ opcode: random.int(0, 63), isImmediate, tag, words: { 24: sn }, data: random.bytes(random.int(0, 60)) }, digests);
  }
}

function make(random: SeededRandom): Buffer {
  const digests = { header: random.chance(0.3), data: random.chance(0.3) };
  const used = (isUsed: boolean): string => (isUsed ? 'CRC32C' : 'None');
  const login = (host: number): Buffer => {
    const names: Record<string, string> = { InitiatorName: HOST, SessionType: 'Normal', TargetName: TARGET };
    if (host === 3) {
      names['SessionType'] = 'Discovery';
      delete names['TargetName'];
    }
    const offered = {
      InitialR2T: random.pick(['Yes', 'No']),
      ImmediateData: random.pick(['Yes', 'Yes', 'No']),
      MaxBurstLength: random.pick(['512', '8192', '262144']),
      FirstBurstLength: random.pick(['512', '8192', '65536']),
      MaxRecvDataSegmentLength: random.pick(['512', '8192', '262144']),
    };
    const isid = host === 1 ? '400000000001' : '400000000000';
    const keys = { ...names, HeaderDigest: used(digests.header), DataDigest: used(digests.data), ...offered };
    return random.chance(0.97) ? loginPdu({ stage: 1, next: 3, isid, keys }) : loginPdu({ stage: 0, next: 1, isid, keys: names });
  };
  const numbers = Array.from({ length: HOSTS }, () => ({ cmdSn: 1, tag: 1 }));
  const one = (): Step => {
    const host = random.pick([0, 0, 0, 1, 1, 2, 3]);
    const own = numbers[host]!;
    if (random.chance(0.02)) return step(KIND.BYTES, host, random.bytes(random.int(1, 200)));
    if (random.chance(0.02)) return step(KIND.BYTES, host, login(host));
    if (random.chance(0.5)) {
      const count = random.chance(0.99) ? random.int(1, 5) : random.int(100, 300);
      const any = (): Buffer => (random.chance(0.85) ? command(random, own, digests) : request(random, own, digests));
      return step(KIND.BYTES, host, Buffer.concat(Array.from({ length: count }, any)));
    }
    const { VOLUME, GATE, SENT, OWED, FAIL, CLOSE, TIME, GAP } = KIND;
    const kind = random.pick([VOLUME, VOLUME, GATE, GATE, SENT, SENT, OWED, OWED, OWED, FAIL, CLOSE, TIME, GAP]);
    return step(kind, random.int(0, 255));
  };
  const opening = [0, 1, 3].flatMap((host) => [step(KIND.BYTES, host, login(host)), step(KIND.GATE), step(KIND.SENT, 28)]);
  // The unit first tells each host that the unit is new.
  const ready = [0, 1].map((host) => {
    const own = numbers[host]!;
    return step(KIND.BYTES, host, pdu({ opcode: 1, lun: LUN, tag: own.tag++, words: { 24: own.cmdSn++ } }, digests));
  });
  const again = random.chance(0.2) ? [step(KIND.BYTES, 2, login(2))] : [];
  const steps = [
    step(KIND.SENT, random.pick([0, 0, 1, 2, 3])),
    ...opening,
    ...ready,
    ...Array.from({ length: random.int(1, 24) }, one),
    ...again,
  ];
  return mutatedScript(random, steps, one);
}

export const iscsiHosts: FuzzTarget = {
  name: 'iscsi-hosts',
  deep: 'the volume was asked for something',
  fixedSeeds: 250,
  make,
  run,
  pieces: scriptPieces,
};
