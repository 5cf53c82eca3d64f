// A host with a path to each of two gates on two machines, and a server with one volume. The processes of the gates stand still at times,
// and their messages to the server are delayed. The host gives up a gate that does not answer within the keep-alive time, and repeats its
// write at the other gate. The host does not heed the states of its paths, so that gates are asked more often than by real hosts. Invariant
// (D1, D3): the volume has the last write that the host got an answer for, or the next one, and no read shows an older one.

import { RateLimitedLog } from '@rsio/common/log/rate-limited-log';
import { FakeClock } from '@rsio/common/testing/fake-clock';
import { SeededRandom } from '@rsio/common/testing/seeded-random';
import { StallingClock } from '@rsio/common/testing/stalling-clock';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { GapWatch } from '@rsio/rsiod/gates/gap-watch';
import { GATE_SWITCH_MS } from '@rsio/rsiod/gates/limits';
import { capsule } from '@rsio/rsiod/gates/nvme/testing/nvme-host';
import { GateRig, NQN } from '@rsio/rsiod/gates/nvme/testing/nvme-rig';
import type { GateNamespace } from '@rsio/rsiod/gates/ports/gate-namespace';
import { type OfferedVolume, type StandbyGate, Standbys } from '@rsio/rsiod/gates/standbys';
import type { VolumeIo } from '@rsio/rsiod/volumes/frontend-volume';
import { closeLogin, gateLogin, type GateLogin, readOne, sendOver } from './gate-logins.ts';

const [WRITES, STEPS_MAX, BLOCK] = [30, 4_000, 512];
const KEEP_ALIVE_MS = 5_000;
const READS_MAX = 3;
const VOLUME: OfferedVolume = { namespace: 'osl', name: 'oracle', universe: 0, id: 'id', sizeBytes: 2 ** 20, blockSizeBytes: BLOCK };
const RECORD = Buffer.from(JSON.stringify({ version: 1, ids: [{ nqn: NQN, nsid: 1 }], active: 'other', reservations: null }));
const LOG = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** The server. It executes what comes on the handle of the holder, and nothing that comes on an earlier handle (H2). */
class Server {
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
  readonly watch: GapWatch;
  readonly logins: GateLogin[] = [];
  isStill = false;
  stillUntilMs = 0;
  delayedUntilMs = 0;
  /** The handle of the volume here; null while this gate is a standby. */
  private handle: number | null = null;
  private readonly standbys: Standbys;
  private readonly inFlight: Sent[] = [];
  private take: { readonly arrivesMs: number; readonly end: (why: string | null) => void } | null = null;
  private readonly clock: FakeClock;
  private readonly random: SeededRandom;
  private readonly server: Server;

  constructor(member: number, clock: FakeClock, random: SeededRandom, server: Server) {
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
    this.watch = new GapWatch(
      this.process,
      () => this.logins.forEach(closeLogin),
      () => {
        this.standbys.look(() => this.handle !== null);
        this.rig.subsystem.tick();
      },
    );
    this.watch.start();
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

  login(): GateLogin {
    const login = gateLogin(this.rig, this.clock.monotonicMs(), KEEP_ALIVE_MS);
    this.logins.push(login);
    return login;
  }

  step(): void {
    const nowMs = this.clock.monotonicMs();
    this.rig.nowMs = nowMs;
    for (const one of this.inFlight)
      if (one.status === null && nowMs >= one.arrivesMs) one.status = this.server.execute(one.io, one.handle);
    if (this.isStill && nowMs >= this.stillUntilMs) this.resume();
    else if (!this.isStill && this.random.chance(0.02)) this.pause();
    if (this.random.chance(0.01)) this.delayedUntilMs = nowMs + this.random.int(500, 15_000);
    if (!this.isStill) this.run();
  }

  private run(): void {
    if (this.watch.look()) return;
    this.hearServer();
    const hasGap = (): boolean => this.watch.look();
    for (let count = this.random.int(1, READS_MAX); count > 0; count--)
      readOne(this.rig, this.logins, this.clock.monotonicMs(), this.random, hasGap);
    this.rig.settle();
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
    return { nsid: 1, volume, ana: 'optimized', isElsewhere: false, wanted: () => undefined, reservations: null };
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

class PairWorld {
  acknowledged = 0;
  stale: string | null = null;
  private readonly random: SeededRandom;
  private readonly clock = new FakeClock();
  private readonly server: Server;
  private readonly gates: readonly PairGate[];
  /** The logins of the host: one for each gate, null until it has logged in again. */
  private readonly logins: (GateLogin | null)[] = [null, null];
  private at = 0;
  private write = 1;
  /** The command of the host; null between commands. */
  private command: { readonly cid: number; readonly isRead: boolean; readonly sentMs: number } | null = null;
  private cid = 1;
  private nextMs = 0;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.server = new Server();
    this.gates = [1, 2].map((member) => new PairGate(member, this.clock, this.random, this.server));
  }

  step(): void {
    this.clock.advance(this.random.pick([20, 100, 400]));
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

  private get now(): number {
    return this.clock.monotonicMs();
  }

  private host(): void {
    for (const [at, gate] of this.gates.entries()) {
      const login = this.logins[at] ?? null;
      if (login?.isOpen !== true) this.logins[at] = gate.isStill ? null : gate.login();
      else if (this.now - login.keptAliveMs > KEEP_ALIVE_MS / 2) {
        login.keptAliveMs = this.now;
        this.send(at, login, true, capsule({ opcode: 0x18, cid: 9_000 }));
      }
    }
    const login = this.logins[this.at] ?? null;
    if (login === null) this.at = 1 - this.at;
    else if (this.command === null) this.begin(login);
    else this.hear(login, this.command);
  }

  private begin(login: GateLogin): void {
    if (this.now < this.nextMs) return;
    const isRead = this.random.chance(0.3);
    this.command = { cid: this.cid, isRead, sentMs: this.now };
    this.cid = (this.cid % 8_000) + 1;
    const { cid } = this.command;
    const entry = { cid, nsid: 1, dwords: [0, 0, 0] };
    const data = Buffer.alloc(BLOCK, this.write);
    this.send(this.at, login, false, capsule(isRead ? { ...entry, opcode: 2, transferBytes: BLOCK } : { ...entry, opcode: 1, data }));
  }

  private hear(login: GateLogin, { cid, isRead, sentMs }: NonNullable<PairWorld['command']>): void {
    for (const answer of login.io.take()) {
      if (answer.kind === 'data' && answer.cid === cid) this.read(answer.data[0]!);
      if (answer.kind !== 'done' || answer.cid !== cid) continue;
      this.command = null;
      if (answer.status === 0 && !isRead) this.acknowledged = this.write++;
      else if (answer.status !== 0) {
        // A path error: the host repeats the command at this gate or at the other one.
        this.nextMs = this.now + this.random.int(50, 1_000);
        if (this.random.chance(0.5)) this.at = 1 - this.at;
      }
      return;
    }
    if (this.command !== null && (this.now - sentMs > KEEP_ALIVE_MS || !login.isOpen)) {
      // The host gives the login up. The gate hears of that late or not at all.
      this.logins[this.at] = null;
      this.command = null;
      this.at = 1 - this.at;
    }
  }

  private read(value: number): void {
    if (value !== this.acknowledged && value !== this.write)
      this.stale = `D3: a read shows write ${value}, and the host got an answer for write ${this.acknowledged}`;
  }

  private send(at: number, login: GateLogin, isAdmin: boolean, bytes: Buffer): void {
    sendOver(login, this.now, this.gates[at]!.delayedUntilMs, isAdmin, bytes);
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
