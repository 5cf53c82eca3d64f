// The connections of a host to a gate, with any delay in each direction: what was sent waits in the network or in a socket, in order, until it
// is read, perhaps seconds after the host has given the path up. A path is one login: a controller with an admin and an I/O connection, or a
// session. Invariant: a path that its host has given up sends and answers nothing any more; what it had sent still arrives.

import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { TargetPdu } from '@rsio/gates/iscsi/testing/iscsi-host';
import { type IscsiRig, RigHost } from '@rsio/gates/iscsi/testing/iscsi-rig';
import { capsule, type Answer, hostData, type Sqe } from '@rsio/gates/nvme/testing/nvme-host';
import type { GateRig, RigConnection } from '@rsio/gates/nvme/testing/nvme-rig';

const BLOCK = 512;
const NO_TAG = 0xffff_ffff;
/** Writes of this value are UNMAPs, with another block in their list. */
export const UNMAPPED = 0;
const OTHER_BLOCK = 8;
/** Identifiers of the commands that an NVMe host sends by itself. */
const CID = { EVENT: 30, LOG: 31, KEEP_ALIVE: 900 } as const;

/** What a path tells its host about the command with this tag. */
export interface Told {
  readonly tag: number;
  readonly what: 'done' | 'differs' | 'again';
  /** The first byte of the data of a read. */
  readonly value: number | null;
}

interface Late<Item> {
  readonly atMs: number;
  readonly item: Item;
}

/** One direction of one connection. */
class Line<Item> {
  private readonly items: Late<Item>[] = [];

  push(item: Item, atMs: number): void {
    this.items.push({ item, atMs: Math.max(atMs, this.items.at(-1)?.atMs ?? 0) });
  }

  take(nowMs: number): Item | null {
    return (this.items[0]?.atMs ?? Infinity) <= nowMs ? this.items.shift()!.item : null;
  }

  isReady(nowMs: number): boolean {
    return (this.items[0]?.atMs ?? Infinity) <= nowMs;
  }

  clear(): void {
    this.items.length = 0;
  }
}

/** Returns how long a message takes now, in ms. */
export type Delay = (direction: 'out' | 'in') => number;

/** The network of one path. Each direction is slow at times. */
export class Network {
  private readonly slowUntilMs = { out: 0, in: 0 };
  private readonly random: SeededRandom;
  private readonly now: () => number;

  constructor(random: SeededRandom, now: () => number) {
    this.random = random;
    this.now = now;
  }

  step(): void {
    for (const direction of ['out', 'in'] as const)
      if (this.random.chance(0.02)) this.slowUntilMs[direction] = this.now() + this.random.int(500, 14_000);
  }

  readonly delay: Delay = (direction) => Math.max(this.random.int(0, 30), this.slowUntilMs[direction] - this.now());
}

/** What a path needs of its world. */
export interface WireWorld {
  readonly random: SeededRandom;
  now(): number;
}

export abstract class Wire {
  /** False once the host has given the path up, or has seen that the gate has closed it. */
  isHeld = true;
  /** False once the gate has closed the path, or has seen that the host has. */
  isOpen = true;
  /** When the host gave the path up, and whether it knows since that the gate has ended it. */
  gaveUpMs: number | null = null;
  isReset = false;
  protected readonly world: WireWorld;
  protected readonly delay: Delay;
  /** By connection. Null: the host has closed the connection. */
  protected readonly out: readonly Line<Buffer | null>[];
  protected readonly in: readonly Line<Told | (() => void)>[];

  constructor(world: WireWorld, delay: Delay, connections: number) {
    this.world = world;
    this.delay = delay;
    this.out = Array.from({ length: connections }, () => new Line<Buffer | null>());
    this.in = Array.from({ length: connections }, () => new Line<Told | (() => void)>());
  }

  abstract write(tag: number, block: number, value: number, isAsked: boolean): void;
  abstract compareAndWrite(tag: number, before: number, value: number): void;
  abstract read(tag: number): void;
  /** The host shows now and then that it is there. */
  abstract keepAlive(): void;
  protected abstract deliver(connection: number, bytes: Buffer): void;
  protected abstract collect(): void;
  /** The gate looks at its connections now and then. */
  abstract tick(nowMs: number): void;
  abstract get isClosedByGate(): boolean;
  protected abstract vanish(): void;

  giveUp(): void {
    this.isHeld = false;
    this.gaveUpMs = this.world.now();
    for (const [at] of this.out.entries()) this.send(at, null);
  }

  /** The gate reads one message. Returns false if there is none. */
  gateReads(): boolean {
    if (!this.isOpen) return false;
    const ready = [...this.out.keys()].filter((at) => this.out[at]!.isReady(this.world.now()));
    if (ready.length === 0) return false;
    const at = this.world.random.pick(ready);
    const bytes = this.out[at]!.take(this.world.now());
    if (bytes === null) this.ends();
    else this.deliver(at, bytes);
    return true;
  }

  /** Called after each step of the gate. */
  settles(): void {
    if (!this.isOpen) return;
    this.collect();
    if (this.isClosedByGate) this.ends();
  }

  hostReads(): Told[] {
    const found: Told[] = [];
    for (const line of this.in)
      for (let one = line.take(this.world.now()); one !== null; one = line.take(this.world.now())) {
        if (!this.isHeld) continue;
        if (typeof one === 'function') one();
        else found.push(one);
      }
    return found;
  }

  private ends(): void {
    this.isOpen = false;
    for (const line of this.out) line.clear();
    this.vanish();
    this.in[0]!.push(() => (this.isHeld = false), this.world.now() + this.delay('in'));
  }

  protected send(connection: number, bytes: Buffer | null): void {
    this.out[connection]!.push(bytes, this.world.now() + this.delay('out'));
  }

  protected tells(connection: number, one: Told | (() => void)): void {
    this.in[connection]!.push(one, this.world.now() + this.delay('in'));
  }
}

/** A controller. `isHasty`: its host does not wait for the answer to a Keep Alive before it sends the next one. */
export class NvmeWire extends Wire {
  readonly admin: RigConnection;
  readonly io: RigConnection;
  readonly instance: { readonly id: number; readonly uniquifier: number; readonly number: Buffer };
  private readonly isHasty: boolean;
  private keptAlive = 0;
  private isKeeping = false;
  private hasAdminEnded = false;
  private readonly data = new Map<number, Buffer>();

  constructor(
    world: WireWorld,
    delay: Delay,
    rig: GateRig,
    { keepAliveMs, isHasty }: { readonly keepAliveMs: number; readonly isHasty: boolean },
  ) {
    super(world, delay, 2);
    this.isHasty = isHasty;
    this.admin = rig.login(undefined, { keepAliveMs });
    this.io = rig.queue(this.admin);
    this.admin.run({ opcode: 9, cid: 2, dwords: [0x0b, 1 << 11] });
    this.admin.send({ opcode: 0x0c, cid: CID.EVENT });
    const { uniquifier, number } = rig.subsystem.controllers.get(this.admin.cntlid)!.instance;
    this.instance = { id: this.admin.cntlid, uniquifier, number };
  }

  write(tag: number, block: number, value: number, isAsked: boolean): void {
    const data = Buffer.alloc(BLOCK, value);
    const entry = { opcode: 1, cid: tag, nsid: 1, dwords: [block, 0, 0] };
    this.data.set(tag, data);
    this.sendIo(isAsked ? { ...entry, transferBytes: BLOCK } : { ...entry, data });
  }

  compareAndWrite(tag: number, before: number, value: number): void {
    const entry = { nsid: 1, dwords: [0, 0, 0] };
    this.sendIo({ ...entry, opcode: 5, cid: 10_000 + tag, flags: 0x41, data: Buffer.alloc(BLOCK, before) });
    this.sendIo({ ...entry, opcode: 1, cid: tag, flags: 0x42, data: Buffer.alloc(BLOCK, value) });
  }

  read(tag: number): void {
    this.sendIo({ opcode: 2, cid: tag, nsid: 1, dwords: [0, 0, 0], transferBytes: BLOCK });
  }

  keepAlive(): void {
    if (this.isKeeping && !this.isHasty) return;
    this.isKeeping = true;
    this.send(0, capsule({ opcode: 0x18, cid: this.isHasty ? CID.KEEP_ALIVE + (this.keptAlive++ % 32) : CID.KEEP_ALIVE }));
  }

  /** Asks the gate to end another controller. */
  reset(tag: number, { id, uniquifier, number }: NvmeWire['instance']): void {
    const dwords = [id | (uniquifier << 16), 0, number.readUInt32LE(0), number.readUInt32LE(4)];
    this.send(0, capsule({ opcode: 0x38, cid: tag, dwords }));
  }

  tick(nowMs: number): void {
    for (const one of this.isOpen ? [this.admin, this.io] : []) one.connection.tick(nowMs);
  }

  get isClosedByGate(): boolean {
    return this.io.transport.destroyed;
  }

  /** The kernel reports the end of each socket. */
  override settles(): void {
    if (this.isOpen && !this.hasAdminEnded && this.admin.transport.destroyed && !this.isClosedByGate) {
      this.hasAdminEnded = true;
      this.admin.vanish();
    }
    super.settles();
  }

  protected vanish(): void {
    for (const one of [this.io, this.admin]) one.connection.close('closed');
    for (const one of [this.io, this.admin]) one.vanish();
  }

  protected deliver(connection: number, bytes: Buffer): void {
    (connection === 0 ? this.admin : this.io).receive(bytes);
  }

  protected collect(): void {
    for (const answer of this.admin.take()) this.fromAdmin(answer);
    for (const answer of this.io.take()) this.fromIo(answer);
  }

  private sendIo(command: Sqe): void {
    this.send(1, capsule(command));
  }

  private fromAdmin(answer: Answer): void {
    if (answer.kind !== 'done') return;
    if (answer.cid >= CID.KEEP_ALIVE && answer.cid < CID.KEEP_ALIVE + 32) return this.tells(0, () => (this.isKeeping = false));
    if (answer.cid > CID.KEEP_ALIVE)
      return this.tells(0, { tag: answer.cid, what: (answer.low & 1) === 1 ? 'done' : 'again', value: null });
    if (answer.cid !== CID.EVENT) return;
    this.tells(0, () => {
      this.send(0, capsule({ opcode: 2, cid: CID.LOG, dwords: [(15 << 16) | 0x0c, 0], transferBytes: 64 }));
      this.send(0, capsule({ opcode: 0x0c, cid: CID.EVENT }));
    });
  }

  private fromIo(answer: Answer): void {
    if (answer.kind === 'data') this.tells(1, { tag: answer.cid, what: 'done', value: answer.data[0]! });
    if (answer.kind === 'r2t') {
      const { cid, tag } = answer;
      this.tells(1, () => this.send(1, hostData(cid, tag, 0, this.data.get(cid)!)));
    }
    if (answer.kind !== 'done' || answer.cid >= 10_000) {
      if (answer.kind === 'done' && (answer.status & 0x7ff) === 0x285)
        this.tells(1, { tag: answer.cid - 10_000, what: 'differs', value: null });
      return;
    }
    if (answer.status === 0) this.tells(1, { tag: answer.cid, what: 'done', value: null });
    else if (answer.status !== 9) this.tells(1, { tag: answer.cid, what: 'again', value: null });
  }
}

/** A session. Its host also sends pings of its own. */
export class IscsiWire extends Wire {
  private readonly host: RigHost;
  private readonly data = new Map<number, Buffer>();

  constructor(world: WireWorld, delay: Delay, rig: IscsiRig, isid: string) {
    super(world, delay, 1);
    this.host = new RigHost(rig);
    this.host.login({ InitialR2T: 'No' }, { isid });
    this.host.send(this.host.command([0, 0, 0, 0, 0, 0]));
    this.host.answersPings = false;
  }

  write(tag: number, block: number, value: number, isAsked: boolean): void {
    const data = value === UNMAPPED ? unmapList(OTHER_BLOCK, block) : Buffer.alloc(BLOCK, value);
    this.data.set(tag, data);
    if (value === UNMAPPED) {
      const cdb = [0x42, 0, 0, 0, 0, 0, 0, 0, data.length, 0];
      return this.send(0, this.host.command(cdb, { bytes: data.length, tag, ...(isAsked ? {} : { data }) }));
    }
    const cdb = [0x2a, 0, 0, 0, 0, block, 0, 0, 1, 0];
    this.send(0, this.host.command(cdb, { bytes: BLOCK, tag, ...(isAsked ? {} : { data }) }));
  }

  compareAndWrite(tag: number, before: number, value: number): void {
    const data = Buffer.concat([Buffer.alloc(BLOCK, before), Buffer.alloc(BLOCK, value)]);
    const cdb = [0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0];
    this.send(0, this.host.command(cdb, { bytes: 2 * BLOCK, tag, data, flags: 0xa0 }));
  }

  read(tag: number): void {
    this.send(0, this.host.command([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], { bytes: BLOCK, tag }));
  }

  keepAlive(): void {
    this.send(0, this.host.bytes({ opcode: 0, isImmediate: true, tag: 5, words: { 20: NO_TAG, 24: this.host.cmdSn } }));
  }

  tick(nowMs: number): void {
    if (this.isOpen) this.host.connection.tick(nowMs);
  }

  get isClosedByGate(): boolean {
    return this.host.transport.destroyed;
  }

  protected vanish(): void {
    this.host.connection.close('closed');
    this.host.vanish();
  }

  protected deliver(_connection: number, bytes: Buffer): void {
    this.host.receive(bytes);
  }

  protected collect(): void {
    for (const pdu of this.host.take()) this.hears(pdu);
  }

  private hears({ opcode, tag, head, data, flags }: TargetPdu): void {
    const transferTag = head.readUInt32BE(20);
    const isPing = opcode === 0x20 && tag === NO_TAG;
    if (isPing)
      this.tells(0, () => {
        this.send(0, this.host.bytes({ opcode: 0, isImmediate: true, tag: NO_TAG, words: { 20: transferTag, 24: this.host.cmdSn } }));
      });
    else if (opcode === 0x31) this.tells(0, () => this.send(0, this.host.dataOut(tag, transferTag, 0, this.data.get(tag)!)));
    else if (opcode === 0x25 && (flags & 1) === 1) this.tells(0, { tag, what: 'done', value: data[0]! });
    else if (opcode === 0x21) this.tells(0, { tag, what: outcomeOf(head[3]!, data), value: null });
  }
}

function outcomeOf(status: number, data: Buffer): Told['what'] {
  if (status === 0) return 'done';
  // MISCOMPARE.
  return data.length > 4 && (data[4]! & 0x0f) === 0x0e ? 'differs' : 'again';
}

function unmapList(...blocks: readonly number[]): Buffer {
  const list = Buffer.alloc(8 + 16 * blocks.length);
  list.writeUInt16BE(list.length - 2, 0);
  list.writeUInt16BE(list.length - 8, 2);
  for (const [index, block] of blocks.entries()) {
    list.writeUInt32BE(block, 12 + 16 * index);
    list.writeUInt32BE(1, 16 + 16 * index);
  }
  return list;
}
