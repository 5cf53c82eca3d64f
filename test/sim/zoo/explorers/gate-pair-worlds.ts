// A host with paths to each of two gates on two machines, and a server with one volume. The processes of the gates stand still at times, their
// messages to the server are delayed, and so is each direction of each connection of the host. The host gives a path up at any time, and
// repeats its write over another one. It does not heed the states of its paths, so that gates are asked more often than by real hosts.
// Invariant (D1, D3): the volume has the last write that the host got an answer for, or the next one, and no read shows an older one.

import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { StallingClock } from '@rsio/base/testing/stalling-clock';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { GATE_SWITCH_MS, GATE_TICK_MS } from '@rsio/gates/limits';
import { GateRig, NQN } from '@rsio/gates/nvme/testing/nvme-rig';
import { VolumeOrder } from '@rsio/gates/order/volume-order';
import type { GateNamespace } from '@rsio/gates/ports/gate-namespace';
import type { OfferedVolume } from '@rsio/rsiod/frontends/gate-frontends';
import { type StandbyGate, Standbys } from '@rsio/gates/standbys';
import type { VolumeIo } from '@rsio/rsiod/volumes/frontend-volume';
import { Network, NvmeWire, type Told, type WireWorld } from './gate-wires.ts';

const [WRITES, STEPS_MAX, BLOCK] = [30, 4_000, 512];
const KEEP_ALIVE_MS = 5_000;
const READS_MAX = 3;
const VOLUME: OfferedVolume = { namespace: 'osl', name: 'oracle', universe: 0, id: 'id', sizeBytes: 2 ** 20, blockSizeBytes: BLOCK };
const RECORD = Buffer.from(JSON.stringify({ version: 1, ids: [{ nqn: NQN, nsid: 1 }], active: 'other', reservations: null }));
const LOG = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** The server. It executes what comes on the handle of the holder, and nothing that comes on an earlier handle (H2). */
export class PairServer {
  readonly content = Buffer.alloc(BLOCK);
  /** Number of the last grant, which is the handle of the holder. */
  handle = 0;
  /** True if the volume has switched twice within GATE_SWITCH_MS. */
  hasHurried = false;
  private grantedMs = 0;

  /** Returns the handle of the new holder. I/O on an earlier handle is then stale. */
  grant(nowMs: number): number {
    // The first two grants may follow each other at once: no gate had the volume before the first, and the second gate has not lost it yet.
    if (this.handle > 1 && nowMs - this.grantedMs < GATE_SWITCH_MS) this.hasHurried = true;
    this.grantedMs = nowMs;
    return ++this.handle;
  }

  execute(io: VolumeIo, handle: number): Status {
    if (handle !== this.handle) return STATUS.STALE;
    if (io.op === 'write') io.buffer.copy(this.content, 0, io.bufferOffset, io.bufferOffset + BLOCK);
    else this.content.copy(io.buffer, io.bufferOffset);
    return STATUS.OK;
  }
}

/** I/O on its way to the server; its answer comes back at `answersMs`. */
interface Sent {
  readonly io: VolumeIo;
  readonly handle: number;
  readonly arrivesMs: number;
  readonly answersMs: number;
  status: Status | null;
}

/** One gate: its process, its connections and its I/O to the server. */
class PairGate implements StandbyGate {
  readonly nqn = NQN;
  readonly config = {
    name: 'pair',
    protocol: 'nvme' as const,
    nqn: NQN,
    addresses: [],
    hosts: null,
    volumes: ['oracle'],
    member: 1,
    secretFile: null,
    secrets: null,
    tls: false,
    tlsKeys: new Map(),
  };
  readonly process: StallingClock;
  readonly rig: GateRig;
  readonly wires: NvmeWire[] = [];
  isStill = false;
  stillUntilMs = 0;
  private tickedMs = 0;
  private order: VolumeOrder | null = null;
  /** The handle of the volume here; null while this gate is a standby. */
  private handle: number | null = null;
  private readonly standbys: Standbys;
  private readonly inFlight: Sent[] = [];
  private take: { readonly arrivesMs: number; readonly end: (why: string | null) => void } | null = null;
  private readonly clock: FakeClock;
  private readonly random: SeededRandom;
  private readonly server: PairServer;

  constructor(member: number, clock: FakeClock, random: SeededRandom, server: PairServer) {
    this.clock = clock;
    this.random = random;
    this.server = server;
    this.process = new StallingClock(clock);
    this.rig = new GateRig({ number: member, hasPartner: true });
    this.rig.subsystem.remove(1);
    const take = (): Promise<string | null> =>
      new Promise((end) => (this.take = { arrivesMs: clock.monotonicMs() + random.int(10, 2_000), end }));
    const servers = { offered: () => [VOLUME], readRecord: () => Promise.resolve(RECORD), take };
    this.standbys = new Standbys({ clock: this.process, log: LOG, lines: new RateLimitedLog(this.process, LOG), servers }, () => [this]);
  }

  get subsystem(): StandbyGate['subsystem'] {
    return this.rig.subsystem;
  }

  show(namespace: GateNamespace): void {
    this.rig.subsystem.add(namespace);
  }

  hide(nsid: number): void {
    this.rig.subsystem.remove(nsid);
  }

  step(): void {
    const nowMs = this.clock.monotonicMs();
    this.rig.nowMs = nowMs;
    for (const one of this.inFlight)
      if (one.status === null && nowMs >= one.arrivesMs) one.status = this.server.execute(one.io, one.handle);
    if (this.isStill && nowMs >= this.stillUntilMs) this.resume();
    else if (!this.isStill && this.random.chance(0.02)) this.pause();
    if (!this.isStill) this.run();
  }

  private run(): void {
    const isTickFirst = this.random.chance(0.5);
    if (isTickFirst) this.tick();
    this.hearServer();
    for (let count = this.random.int(1, READS_MAX); count > 0; count--) {
      const open = this.wires.filter((wire) => wire.isOpen);
      if (open.length > 0) this.random.pick(open).gateReads();
      this.settle();
    }
    if (!isTickFirst) this.tick();
  }

  private tick(): void {
    if (this.clock.monotonicMs() - this.tickedMs < GATE_TICK_MS) return;
    this.tickedMs = this.clock.monotonicMs();
    this.standbys.look(() => this.handle !== null);
    this.rig.subsystem.tick();
    this.settle();
  }

  private settle(): void {
    this.rig.settle();
    for (const wire of this.wires) wire.settles();
    for (let at = this.wires.length - 1; at >= 0; at--) if (!this.wires[at]!.isOpen && !this.wires[at]!.isHeld) this.wires.splice(at, 1);
  }

  /** The process reads the answers of the server, one after the other. */
  private hearServer(): void {
    const nowMs = this.clock.monotonicMs();
    for (let one = this.inFlight[0]; one !== undefined && one.status !== null && nowMs >= one.answersMs; one = this.inFlight[0]) {
      this.inFlight.shift();
      one.io.done(one.status);
      if (one.status === STATUS.STALE && one.handle === this.handle) this.lose();
    }
    if (this.handle !== null && this.handle !== this.server.handle && this.random.chance(0.1)) this.lose();
    if (this.take !== null && nowMs >= this.take.arrivesMs) {
      const { end } = this.take;
      this.take = null;
      this.handle = this.server.grant(nowMs);
      this.show(this.active(this.handle));
      this.standbys.forgetId(VOLUME.id);
      end(null);
    }
  }

  private lose(): void {
    this.handle = null;
    this.standbys.lost(VOLUME, new Map([[NQN, 1]]));
    this.order?.close();
  }

  private active(handle: number): GateNamespace {
    const submit = (io: VolumeIo): void => {
      const arrivesMs = Math.max(this.clock.monotonicMs() + this.random.int(1, 3_000), this.inFlight.at(-1)?.arrivesMs ?? 0);
      this.inFlight.push({ io, handle, arrivesMs, answersMs: arrivesMs + this.random.int(1, 500), status: null });
    };
    const volume = {
      id: VOLUME.id,
      sizeBytes: VOLUME.sizeBytes,
      blockSizeBytes: BLOCK,
      readonly: false,
      canDiscard: true,
      submit,
      extents: () => undefined,
    };
    this.order = new VolumeOrder(this.rig.order, VOLUME.sizeBytes);
    return { nsid: 1, volume, ana: 'optimized', isElsewhere: false, wanted: () => undefined, reservations: null, order: this.order };
  }

  private pause(): void {
    this.isStill = true;
    this.stillUntilMs = this.clock.monotonicMs() + this.random.int(200, 20_000);
    this.process.stall();
  }

  /** The kernel reports sockets and timers in any order. */
  private resume(): void {
    this.isStill = false;
    if (this.random.chance(0.5)) this.run();
    this.process.goOn();
  }
}

class PairWorld implements WireWorld {
  acknowledged = 0;
  stale: string | null = null;
  readonly random: SeededRandom;
  private readonly clock = new FakeClock();
  private readonly server: PairServer;
  private readonly gates: readonly PairGate[];
  /** The networks of the paths: two to each gate. */
  private readonly networks: readonly Network[];
  private readonly paths: (NvmeWire | null)[] = [null, null, null, null];
  private readonly hasKeepAlive: boolean;
  private keptAliveMs = 0;
  private at = 0;
  private write = 1;
  /** The command of the host; null between commands. */
  private command: { readonly tag: number; readonly isRead: boolean; readonly sentMs: number } | null = null;
  private tag = 1_000;
  private nextMs = 0;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.server = new PairServer();
    this.gates = [1, 2].map((member) => new PairGate(member, this.clock, this.random, this.server));
    this.networks = this.paths.map(() => new Network(this.random, () => this.now()));
    this.hasKeepAlive = this.random.chance(0.5);
  }

  now(): number {
    return this.clock.monotonicMs();
  }

  step(): void {
    this.clock.advance(this.random.pick([20, 100, 400]));
    for (const network of this.networks) network.step();
    this.host();
    for (const gate of this.gates) gate.step();
  }

  fault(): string | null {
    const has = this.server.content[0]!;
    if (this.stale !== null) return this.stale;
    if (this.server.hasHurried) return `D3: the volume has switched twice within ${GATE_SWITCH_MS} ms`;
    if (has === this.acknowledged || has === this.write) return null;
    return `D1, D3: the volume has write ${has}, and the host got an answer for write ${this.acknowledged}`;
  }

  private host(): void {
    for (const wire of this.paths) for (const told of wire?.hostReads() ?? []) this.hear(told);
    if (this.now() - this.keptAliveMs > KEEP_ALIVE_MS / 2) {
      this.keptAliveMs = this.now();
      for (const wire of this.paths) if (wire?.isHeld === true) wire.keepAlive();
    }
    for (const [at, wire] of this.paths.entries()) if (wire?.isHeld !== true) this.paths[at] = this.login(at);
    const wire = this.paths[this.at]!;
    if (this.command === null) this.begin(wire);
    else if (wire === null || !wire.isHeld || this.now() - this.command.sentMs > KEEP_ALIVE_MS || this.random.chance(0.005))
      this.giveUp(wire);
  }

  /** A login needs the process of the gate. */
  private login(at: number): NvmeWire | null {
    const gate = this.gates[at % 2]!;
    if (gate.isStill) return null;
    const options = { keepAliveMs: this.hasKeepAlive ? KEEP_ALIVE_MS : 0, isHasty: false };
    const wire = new NvmeWire(this, this.networks[at]!.delay, gate.rig, options);
    gate.wires.push(wire);
    return wire;
  }

  private begin(wire: NvmeWire | null): void {
    if (this.now() < this.nextMs) return;
    if (wire === null) return this.moves();
    const isRead = this.random.chance(0.3);
    // A read before the write: if both arrive late, the read makes the gate take the volume.
    if (!isRead && this.random.chance(0.3)) wire.read(this.tag++);
    this.command = { tag: this.tag++, isRead, sentMs: this.now() };
    if (isRead) wire.read(this.command.tag);
    else wire.write(this.command.tag, 0, this.write, this.random.chance(0.2));
  }

  private hear({ tag, what, value }: Told): void {
    const { command } = this;
    if (command?.tag !== tag || (command.isRead && what === 'done' && value === null)) return;
    this.command = null;
    if (what === 'done' && command.isRead) this.read(value!);
    else if (what === 'done') this.acknowledged = this.write++;
    else {
      // A path error: the host repeats the command at this gate or at the other one.
      this.nextMs = this.now() + this.random.int(50, 1_000);
      if (this.random.chance(0.5)) this.moves();
    }
  }

  private giveUp(wire: NvmeWire | null): void {
    if (wire?.isHeld === true) wire.giveUp();
    this.command = null;
    this.moves();
  }

  private moves(): void {
    this.at = this.random.int(0, this.paths.length - 1);
  }

  private read(value: number): void {
    if (value !== this.acknowledged && value !== this.write)
      this.stale = `D3: a read shows write ${value}, and the host got an answer for write ${this.acknowledged}`;
  }
}

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export async function gatePairWorld(seed: number): Promise<string | null> {
  const world = new PairWorld(seed);
  for (let step = 0; step < STEPS_MAX && world.acknowledged < WRITES; step++) {
    world.step();
    // The calls of the gates to their server end.
    await Promise.resolve();
    const fault = world.fault();
    if (fault !== null) return fault;
  }
  return null;
}
