// The frontend of gates: shows attached volumes to hosts that have no rsiod. Each [gate] section is a gate. offering.ts handles the volumes
// that are attached here, and standbys.ts the volumes that another gate may offer. Gates are in rsiod, because rssrv has neither mirrors
// nor an order of writes over its clients. Invariant: after a start, gates let hosts in only when the earlier volumes and the standbys are
// there, or after GATE_SETTLE_MS, because a returning host removes the devices of volumes that it does not find.

import { randomBytes } from 'node:crypto';
import type { ClientGateConfig } from '@rsio/common/config/schema/types';
import type { GateView } from '@rsio/api/rsiod/methods';
import type { Timer } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { printEndpoint, printSize } from '@rsio/base/lib/units';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import { type Frontend, inUse, type ShownAs } from '@rsio/rsiod/frontends/frontend';
import type { GateParts } from '@rsio/rsiod/frontends/gate-frontends';
import { DataBuffers } from '@rsio/rsiod/frontends/streams/data-buffers';
import { MemoryBudget } from '@rsio/rsiod/frontends/streams/memory-budget';
import { BatchPool } from '@rsio/rsiod/frontends/streams/transport';
import type { FrontendVolume } from '@rsio/rsiod/volumes/frontend-volume';
import { ActiveNamespace } from './active-namespace.ts';
import type { EarlierAudience } from '@rsio/rsiod/frontends/audience';
import { GateClock } from './gate-clock.ts';
import { GateOrder } from './order/gate-order.ts';
import { Door } from './door.ts';
import { Gate } from './gate.ts';
import { gateNqn } from './nvme-protocol.ts';
import { gateIqn } from './iscsi-protocol.ts';
import {
  GATE_BYTES_MAX,
  GATE_MEMORY_WAIT_MS,
  GATE_COPY_MAX_BYTES,
  GATE_HOST_BYTES_MAX,
  GATE_HOST_LINES_MAX,
  GATE_RECEIVE_BYTES,
  GATE_RESERVE_BYTES,
  GATE_SETTLE_MS,
  GATE_TICK_MS,
} from './limits.ts';
import { NamespaceNumbers } from './namespace-numbers.ts';
import { DhTurns } from './nvme/auth/dh-turns.ts';
import type { NvmePools } from './nvme/connection-ports.ts';
import { HostBudgets } from './ports/host-budgets.ts';
import type { AnaState, GateNamespace } from './ports/gate-namespace.ts';
import { Offering } from './offering.ts';
import { offers, StandbyNamespace, Standbys } from './standbys.ts';

export interface GatesOptions extends Omit<GateParts, 'config' | 'paths'> {
  readonly numbersFile: string;
  readonly version: string;
  readonly gates: readonly ClientGateConfig[];
}

export class Gates implements Frontend {
  readonly needsUnused = false;
  readonly leftVolumes: readonly FrontendVolume[] = [];
  private readonly options: GatesOptions;
  private config: readonly ClientGateConfig[];
  private readonly gates = new Map<string, Gate>();
  private readonly offering: Offering;
  private readonly numbers: NamespaceNumbers;
  private readonly lines: RateLimitedLog;
  private readonly hostLines: RateLimitedLog;
  private readonly time: GateClock;
  private timer: Timer | null = null;
  private readonly door = new Door();
  private readonly data: DataBuffers;
  private readonly pools: NvmePools;
  private readonly turns: DhTurns;
  private receiveBuffer: Buffer | null = null;
  private isRunning = false;
  /** True when the numbers of the namespaces are known. */
  private isLoaded = false;
  /** Why the numbers are not known. */
  private trouble: string | null = null;
  private isShortOfMemory = false;
  /** True when hosts may come. */
  private isOpen = false;
  private startedMs = 0;
  /** Settles when all changes requested so far have been made. Changes are made one after another. */
  private turn: Promise<void> = Promise.resolve();

  constructor(options: GatesOptions) {
    const { clock, log } = options;
    this.options = options;
    this.config = options.gates;
    this.numbers = new NamespaceNumbers(options.numbersFile);
    this.lines = new RateLimitedLog(clock, log);
    this.hostLines = new RateLimitedLog(clock, log, GATE_HOST_LINES_MAX);
    this.data = new DataBuffers(clock);
    const bounds = {
      limitBytes: GATE_BYTES_MAX,
      reserveBytes: GATE_RESERVE_BYTES,
      smallBytes: DataBuffers.memoryBytes(GATE_COPY_MAX_BYTES),
    };
    this.turns = new DhTurns(clock);
    this.time = new GateClock(clock);
    const order = new GateOrder();
    let sequence = randomBytes(4).readUInt32LE();
    this.pools = {
      data: this.data,
      batches: new BatchPool(),
      budget: new MemoryBudget(bounds, setImmediate),
      schedule: setImmediate,
      order,
      hosts: new HostBudgets({ ...bounds, limitBytes: GATE_HOST_BYTES_MAX, reserveBytes: 0 }, setImmediate),
      auth: { random: randomBytes, turns: this.turns, sequence: () => (sequence = (sequence % 0xffff_ffff) + 1) },
    };
    const standbys = new Standbys({ clock, log, lines: this.lines, servers: options.servers }, () => this.withPartners());
    const { takeFromPrograms } = options;
    this.offering = new Offering({
      clock,
      log,
      standbys,
      takeFromPrograms,
      order,
      numbers: this.numbers,
      gates: () => this.gates.values(),
      nodeOf: options.nodeOf,
    });
  }

  async start(): Promise<void> {
    this.isRunning = true;
    this.startedMs = this.options.clock.monotonicMs();
    await this.follow(this.config);
    if (!this.isOpen && this.gates.size > 0)
      this.options.log.info(`Gates open when the volumes are attached again, at the latest in ${GATE_SETTLE_MS / 1000} s`);
  }

  /** Applies the [gate] sections of a configuration. */
  follow(config: readonly ClientGateConfig[]): Promise<void> {
    this.config = config;
    this.turn = this.turn.then(() => this.apply());
    return this.turn;
  }

  /**
   * True if a gate is to have the volume, so that programs of this machine do not get it. `volumes = all` names no volume: such a gate has
   * what has no device here, and, after a restart, what it had before.
   */
  claims(volume: FrontendVolume, before: EarlierAudience): boolean {
    const hadIt = before === 'gates' || (before === 'unknown' && this.numbers.knows(volume.id));
    return this.config.some((config) => (config.volumes === 'all' ? hadIt : offers(config, volume)));
  }

  async show(volume: FrontendVolume): Promise<void> {
    await this.offering.show(volume);
  }

  shownAs(): ShownAs | null {
    return null;
  }

  grown(volume: FrontendVolume): Promise<void> {
    this.offering.grown(volume);
    return Promise.resolve();
  }

  incarnationChanged(volume: FrontendVolume): void {
    this.offering.lostWrites(volume);
  }

  usersOf(volume: FrontendVolume): Promise<readonly string[]> {
    return Promise.resolve(this.offering.usersOf(volume));
  }

  async hide(volume: FrontendVolume, force: boolean): Promise<void> {
    const users = force ? [] : await this.usersOf(volume);
    if (users.length > 0) throw inUse(users);
    await this.offering.hide(volume);
  }

  drop(volume: FrontendVolume): Promise<void> {
    this.offering.drop(volume);
    return Promise.resolve();
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  releaseLeft(): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.isRunning = false;
    this.turn = this.turn.then(() => this.apply());
    await this.turn;
    this.turns.close();
    this.data.close();
    this.hostLines.close();
    this.lines.close();
  }

  async handOver(): Promise<void> {
    await this.close();
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  views(): GateView[] {
    return this.config.map((config) => {
      const nqn = this.nqnOf(config);
      const gate = this.gates.get(nqn);
      return {
        name: config.name,
        protocol: config.protocol,
        nqn,
        addresses: config.addresses.map(({ address, port }) => printEndpoint(address, port)),
        listening: gate?.listening ?? [],
        trouble: this.trouble ?? (this.isOpen ? null : 'It waits until the volumes are attached that were attached before'),
        hosts: gate?.hosts ?? [],
        authenticates: config.secrets !== null,
        tls: config.tls,
        member: config.member,
        volumes: [...(gate?.subsystem.namespaces.values() ?? [])].flatMap((namespace) => viewOf(namespace) ?? []),
        figures: gate?.figures() ?? NO_FIGURES,
      };
    });
  }

  /** Where hosts find an attached volume. */
  placesOf({ id }: Pick<FrontendVolume, 'id'>): { readonly gate: string; readonly protocol: 'nvme' | 'iscsi'; readonly nsid: number }[] {
    return [...this.gates.values()].flatMap(({ config, subsystem }) =>
      [...subsystem.namespaces.values()]
        .filter(({ volume }) => volume.id === id)
        .map(({ nsid }) => ({ gate: config.name, protocol: config.protocol, nsid })),
    );
  }

  /** Memory that the data of all commands uses now. */
  get usedBytes(): number {
    return this.pools.budget.usedBytes;
  }

  /** Logs when commands wait for memory, because one volume that does not answer can hold the memory of all gates. */
  private watchMemory(): void {
    let waitedMs = 0;
    for (const gate of this.gates.values()) waitedMs = Math.max(waitedMs, gate.waitedMs);
    const isShort = waitedMs >= (this.isShortOfMemory ? 1 : GATE_MEMORY_WAIT_MS);
    if (isShort === this.isShortOfMemory) return;
    this.isShortOfMemory = isShort;
    const { log } = this.options;
    if (isShort)
      log.warn(
        `Hosts of gates have waited for memory for ${GATE_MEMORY_WAIT_MS / 1000} s: other commands use ${printSize(this.usedBytes)} (rsconfig -m status -v names the volumes whose I/O waits)`,
      );
    else log.info('Gates have memory for the commands of their hosts again');
  }

  private tickLater(): void {
    this.timer = this.options.clock.after(GATE_TICK_MS, () => {
      this.tickLater();
      this.openLater();
      this.offering.look();
      for (const gate of this.gates.values()) gate.tick();
      this.watchMemory();
    });
  }

  private stopTicks(): void {
    this.timer?.cancel();
    this.timer = null;
  }

  private async apply(): Promise<void> {
    // The numbers are needed even without gates, because volumes that had numbers may have a note of this client in their records.
    const hasNumbers = this.isRunning && (await this.hasNumbers());
    const wanted = hasNumbers ? this.config : [];
    const gone = [...this.gates.values()].filter(
      (gate) => !wanted.some((config) => this.nqnOf(config) === gate.nqn && config.member === gate.config.member),
    );
    for (const { nqn } of gone) this.gates.delete(nqn);
    await Promise.all(gone.map((gate) => gate.close()));
    if (wanted.length === 0) this.stopTicks();
    else if (this.timer === null) this.tickLater();
    for (const config of wanted) {
      const known = this.gates.get(this.nqnOf(config));
      const gate = known ?? this.newGate(config);
      if (known !== undefined) gate.change(config);
      await this.offering.follow(gate);
      if (this.isOpen) gate.listen();
    }
    // After a restart, the new process is again the gate of its volumes.
    if (this.isRunning) await this.offering.takeNotesBack();
    this.openLater();
  }

  /**
   * Without the numbers, no host gets in, because it could write to the wrong volume. The volumes' other frontends do not depend on them.
   */
  private async hasNumbers(): Promise<boolean> {
    try {
      if (!this.isLoaded) await this.numbers.load();
      this.isLoaded = true;
      this.trouble = null;
    } catch (thrown) {
      this.trouble = toRsError(thrown).message;
      if (this.config.length > 0) this.options.log.warn(`The gates let no host in: ${toRsError(thrown).message}; then run rsconfig reload`);
    }
    return this.isLoaded;
  }

  /** Opens all gates when the standbys and the volumes of an earlier process are there, or after GATE_SETTLE_MS. */
  private openLater(): void {
    if (this.isOpen || !this.isRunning) return;
    const { isSettled, log, clock } = this.options;
    const settled = isSettled() && this.offering.isSettled;
    if (!settled && clock.monotonicMs() - this.startedMs < GATE_SETTLE_MS) return;
    this.isOpen = true;
    if (!settled && this.gates.size > 0)
      log.warn('Gates open before all volumes are attached again: hosts may remove the devices of the others (rsconfig -l names them)');
    for (const gate of this.gates.values()) gate.listen();
  }

  private nqnOf({ name, nqn, protocol }: ClientGateConfig): string {
    return nqn ?? (protocol === 'nvme' ? gateNqn : gateIqn)(this.options.namespaceid(), name);
  }

  private newGate(config: ClientGateConfig): Gate {
    const { clock, log, version } = this.options;
    const { lines, hostLines, pools, time, door } = this;
    this.receiveBuffer ??= Buffer.allocUnsafeSlow(GATE_RECEIVE_BYTES);
    const nqn = this.nqnOf(config);
    const gate = new Gate(config, nqn, { clock, time, log, lines, hostLines, pools, door, receiveBuffer: this.receiveBuffer, version });
    this.gates.set(nqn, gate);
    return gate;
  }

  private *withPartners(): Iterable<Gate> {
    for (const gate of this.gates.values()) if (gate.hasPartner) yield gate;
  }
}

const NO_FIGURES = { connections: 0, commands: 0, receivedBytes: 0, sentBytes: 0, waiting: 0, waitedMs: 0, refused: 0, cut: 0 } as const;

const STATES: Readonly<Record<AnaState, GateView['volumes'][number]['state']>> = {
  optimized: 'active',
  'non-optimized': 'standby',
  change: 'switching',
  inaccessible: 'waiting',
};

function viewOf(namespace: GateNamespace): GateView['volumes'][number] | null {
  const { nsid, volume, ana } = namespace;
  const shared = { nsid, sizeBytes: volume.sizeBytes, state: STATES[ana] };
  if (namespace instanceof ActiveNamespace) return { ...shared, label: volumeLabel(namespace.volume), why: null };
  return namespace instanceof StandbyNamespace ? { ...shared, label: namespace.volume.label, why: namespace.volume.why } : null;
}
