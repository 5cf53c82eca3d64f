// A host with several paths to one gate, by NVMe or iSCSI. Each direction of each connection has any delay, the gate stands still at times, and
// the host gives paths up at any time. A hasty host repeats its write (iSCSI: also UNMAP) over another path at once. A careful one uses compare
// and write: it waits, or ends the lost controller over another one, reads, and repeats. A patient one has calmer paths, and waits for a volume
// that stands still. Invariants (D1): each block has the last write that was answered, or the one under way; what a careful host compares never
// differs; a path changes nothing once its host has reset it, or given it up for as long as it waits.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { IscsiRig } from '@rsio/gates/iscsi/testing/iscsi-rig';
import { GATE_HOST_LOGINS_MAX, GATE_PROOF_MS, GATE_TICK_MS } from '@rsio/gates/limits';
import { GateRig } from '@rsio/gates/nvme/testing/nvme-rig';
import { IscsiWire, Network, NvmeWire, type Told, UNMAPPED, type Wire, type WireWorld } from './gate-wires.ts';

const [WRITES, STEPS_MAX, BLOCK] = [60, 2_500, 512];
const KEEP_ALIVE_MS = 5_000;
const FIRST_TAG = 1_000;
/** A host gives a path up that has not answered for this time, and often earlier. */
const PATIENCE_MS = 3_000;
/** A patient host waits for longer than a gate does before it calls a command busy. */
const LONG_PATIENCE_MS = 60_000;

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export function gateWorld(seed: number): string | null {
  const world = new GateWorld(seed);
  for (let step = 0; step < STEPS_MAX && world.acknowledged < WRITES; step++) {
    world.step();
    const fault = world.fault();
    if (fault !== null) return fault;
  }
  return null;
}

interface Command {
  readonly kind: 'write' | 'read' | 'reset';
  readonly tag: number;
  readonly wire: Wire;
  readonly sentMs: number;
  readonly block: number;
}

class GateWorld implements WireWorld {
  acknowledged = 0;
  readonly random: SeededRandom;
  private readonly isIscsi: boolean;
  private readonly isCareful: boolean;
  private readonly isHasty: boolean;
  private readonly isPatient: boolean;
  /** A generator of its own, so that other worlds do not depend on what only some do. */
  private readonly volumeRandom: SeededRandom;
  private stalledUntilMs = 0;
  /** Which of five writes is an UNMAP. */
  private readonly unmapped: number;
  /** How often the host changes to another path without a reason. */
  private readonly restless: number;
  private readonly clock = new FakeClock();
  private readonly nvme = new GateRig();
  private readonly iscsi = new IscsiRig();
  private readonly networks: readonly Network[];
  private readonly wires: { readonly wire: Wire; readonly path: number }[] = [];
  private sessions = 0;
  private stillUntilMs = 0;
  private tickedMs = 0;
  private keptAliveMs = 0;
  /** The value that the host got an answer for, and the one under way, by block. */
  private readonly blocks: { acknowledged: number; next: number }[] = [{ acknowledged: 0, next: 0 }, { acknowledged: 0, next: 0 }]; // biome-ignore format: pairs
  private write = 1;
  private tag = FIRST_TAG;
  private path = 0;
  private command: Command | null = null;
  /** Lost paths over which a write of a careful host may still arrive, with the time of their loss. */
  private readonly lost: { readonly wire: Wire; readonly sinceMs: number }[] = [];
  /** True if a careful host does not know whether its write was executed. */
  private isUnsure = false;
  private mistake: string | null = null;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.isIscsi = this.random.chance(0.5);
    this.isCareful = this.random.chance(0.4);
    this.isHasty = this.random.chance(0.3);
    this.volumeRandom = new SeededRandom(seed + 1_000_000);
    this.unmapped = this.volumeRandom.int(0, 4);
    this.isPatient = this.isCareful && this.volumeRandom.chance(0.4);
    this.restless = this.random.pick([0.02, 0.1, 0.5]);
    this.networks = Array.from({ length: this.random.int(2, 3) }, () => new Network(this.random, () => this.now()));
  }

  now(): number {
    return this.clock.monotonicMs();
  }

  step(): void {
    this.clock.advance(this.random.pick([5, 20, 100, 400]));
    this.nvme.nowMs = this.now();
    this.iscsi.nowMs = this.now();
    const isCalm = this.isPatient && !this.volumeRandom.chance(0.1);
    for (const network of isCalm ? [] : this.networks) network.step();
    this.stall();
    this.host();
    if (this.now() >= this.stillUntilMs) this.gate();
    if (!isCalm && this.random.chance(0.02)) this.stillUntilMs = this.now() + this.random.int(200, 14_000);
  }

  private stall(): void {
    if (this.isPatient && this.now() >= this.stalledUntilMs && this.volumeRandom.chance(0.01))
      this.stalledUntilMs = this.now() + this.volumeRandom.int(15_000, 40_000);
    this.iscsi.isStalled = this.nvme.isStalled = this.now() < this.stalledUntilMs;
  }

  fault(): string | null {
    if (this.mistake !== null) return this.mistake;
    const { content } = this.isIscsi ? this.iscsi.volume : this.nvme.volume;
    for (const [block, { acknowledged, next }] of this.blocks.entries()) {
      const has = content[block * BLOCK]!;
      if (has !== acknowledged && has !== next)
        return `D1: block ${block} has write ${has}, and the host got an answer for write ${acknowledged}`;
    }
    return null;
  }

  // --- The process of the gate. The kernel reports sockets and timers in any order.

  private gate(): void {
    const isTickFirst = this.random.chance(0.5);
    if (isTickFirst) this.tick();
    for (let count = this.random.int(1, 4); count > 0; count--) {
      const open = this.wires.filter(({ wire }) => wire.isOpen);
      if (open.length === 0) break;
      this.reads(this.random.pick(open).wire);
    }
    if (!isTickFirst) this.tick();
  }

  private reads(wire: Wire): void {
    // What the volume completes now, because it goes on, is no doing of this path.
    this.settle();
    const before = this.content;
    wire.gateReads();
    this.settle();
    const { gaveUpMs, isReset } = wire;
    const isOver = isReset || (this.isIscsi && gaveUpMs !== null && this.now() - gaveUpMs > GATE_PROOF_MS);
    if (isOver && this.content !== before) this.mistake ??= 'D1: a path has changed something that its host knew to be at its end';
  }

  /** What both blocks have. */
  private get content(): string {
    const { content } = this.isIscsi ? this.iscsi.volume : this.nvme.volume;
    return `${content[0]} ${content[BLOCK]}`;
  }

  private tick(): void {
    if (this.now() - this.tickedMs < GATE_TICK_MS) return;
    this.tickedMs = this.now();
    if (this.isIscsi) this.iscsi.protocol.tick();
    else this.nvme.subsystem.tick();
    for (const { wire } of this.wires) wire.tick(this.now());
    this.settle();
  }

  private settle(): void {
    for (let round = 0; round < 2; round++) {
      this.nvme.settle();
      this.iscsi.settle();
      for (const { wire } of this.wires) wire.settles();
    }
    for (let at = this.wires.length - 1; at >= 0; at--)
      if (!this.wires[at]!.wire.isOpen && !this.wires[at]!.wire.isHeld) this.wires.splice(at, 1);
  }

  // --- The host

  private host(): void {
    for (const { wire } of [...this.wires]) for (const told of wire.hostReads()) this.hears(told);
    if (this.now() - this.keptAliveMs > 1_500) {
      this.keptAliveMs = this.now();
      for (const { wire } of this.wires) if (wire.isHeld) wire.keepAlive();
    }
    const { command } = this;
    if (command !== null) {
      const [patienceMs, restless] = this.isPatient ? [LONG_PATIENCE_MS, 0.001] : [PATIENCE_MS, 0.02];
      const isLate = this.now() - command.sentMs > patienceMs || this.random.chance(restless);
      if (!command.wire.isHeld || isLate) this.givesUp(command);
      return;
    }
    if (this.random.chance(this.restless)) this.path = this.random.int(0, this.networks.length - 1);
    const wire = this.wireOf(this.path);
    if (wire !== null) this.begins(wire);
  }

  /** Returns the login over a path; null if the host cannot log in now, because the gate stands still or has its earlier logins. */
  private wireOf(path: number): Wire | null {
    const known = this.wires.find((one) => one.path === path && one.wire.isHeld);
    if (known !== undefined) return known.wire;
    const logins = this.wires.filter(({ wire }) => wire.isOpen).length;
    if (this.now() < this.stillUntilMs || logins >= GATE_HOST_LOGINS_MAX) return null;
    const { delay } = this.networks[path]!;
    const wire = this.isIscsi
      ? new IscsiWire(this, delay, this.iscsi, `4000013700${(this.sessions++ % 256).toString(16).padStart(2, '0')}`)
      : new NvmeWire(this, delay, this.nvme, { keepAliveMs: this.isHasty ? 0 : KEEP_ALIVE_MS, isHasty: this.isHasty });
    this.wires.push({ wire, path });
    return wire;
  }

  private begins(wire: Wire): void {
    const tag = this.tag++;
    const sent = { tag, wire, sentMs: this.now() };
    const [first] = this.lost;
    if (this.isCareful && first !== undefined) {
      if (first.wire instanceof NvmeWire && wire instanceof NvmeWire) {
        wire.reset(tag, first.wire.instance);
        this.command = { ...sent, kind: 'reset', block: 0 };
      } else if (this.now() - first.sinceMs > GATE_PROOF_MS) this.lost.shift();
      return;
    }
    if (this.isUnsure) {
      wire.read(tag);
      this.command = { ...sent, kind: 'read', block: 0 };
      return;
    }
    const block = this.isCareful ? 0 : this.write % 2;
    const state = this.blocks[block]!;
    state.next = !this.isCareful && this.isIscsi && this.write % 5 === this.unmapped ? UNMAPPED : this.write;
    if (this.isCareful) wire.compareAndWrite(tag, state.acknowledged, this.write);
    else wire.write(tag, block, state.next, this.random.chance(0.3));
    this.command = { ...sent, kind: 'write', block };
  }

  private givesUp({ wire, kind }: Command): void {
    if (wire.isHeld) wire.giveUp();
    if (this.isCareful && kind === 'write') {
      this.lost.push({ wire, sinceMs: this.now() });
      this.isUnsure = true;
    }
    this.command = null;
    this.path = this.random.int(0, this.networks.length - 1);
  }

  private hears({ tag, what, value }: Told): void {
    const { command } = this;
    if (command?.tag !== tag) return;
    if (command.kind === 'read' && what === 'done' && value === null) return;
    this.command = null;
    const state = this.blocks[command.block]!;
    if (what === 'differs')
      this.mistake = `D1: the block differs from write ${state.acknowledged}, which a careful host has just read or written`;
    else if (command.kind === 'reset' && what === 'done') this.resets();
    else if (command.kind === 'read' && what === 'done') {
      this.isUnsure = false;
      if (value === this.write) this.acknowledges(state);
    } else if (command.kind === 'write' && what === 'done') this.acknowledges(state);
  }

  private resets(): void {
    const [first] = this.lost.splice(0, 1);
    if (first !== undefined) first.wire.isReset = true;
  }

  private acknowledges(state: { acknowledged: number; next: number }): void {
    state.acknowledged = state.next;
    this.acknowledged = this.write++;
  }
}
