// Standbys: volumes that another gate may have, and that this gate shows to hosts before it has them. Rule D3. Invariants: a standby
// executes nothing and keeps no I/O; a volume is taken over only because a host asked for it here, only if its holder's I/O is proven to
// have ended (H2), and at most once in GATE_SWITCH_MS; an order is bound to the id of the volume that hosts see.

import type { ClientGateConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/base/lib/clock';
import { assert } from '@rsio/base/lib/assert';
import { toRsError } from '@rsio/base/lib/errors';
import type { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import type { OfferedVolume, StandbyServers } from '@rsio/rsiod/frontends/gate-frontends';
import { nameInUniverse, volumeLabel } from '@rsio/base/lib/volume-name';
import type { VolumeIdentity, VolumeIo } from '@rsio/rsiod/volumes/frontend-volume';
import type { Gate, GateLog } from './gate.ts';
import { recordContent } from '@rsio/rsiod/notes/gate-record';
import { GATE_ABSENT_MS, GATE_RECORD_LOOK_MS, GATE_RECORD_READS_MAX, GATE_SWITCH_MS, GATE_VOLUMES_MAX } from './limits.ts';
import { Reservations } from './reservations/reservations.ts';
import type { GateTarget } from './ports/gate-protocol.ts';
import type { AnaState, GateNamespace, GateVolume } from './ports/gate-namespace.ts';

/** A gate that has partners. */
export type StandbyGate = Pick<Gate, 'config' | 'nqn' | 'show' | 'hide'> & {
  readonly subsystem: Pick<GateTarget, 'namespaces' | 'changed' | 'anaChanged'>;
};

export interface StandbyPorts {
  readonly clock: Clock;
  readonly log: GateLog;
  readonly lines: RateLimitedLog;
  readonly servers: StandbyServers;
}

/** A volume that is not attached by this rsiod; all its gates share this object. */
export class StandbyVolume implements GateVolume {
  facts: OfferedVolume;
  readonly label: string;
  readonly readonly = false;
  readonly canDiscard = true;
  ana: AnaState;
  /** Why the last take-over failed. */
  why: string | null = null;
  /** The earliest time (monotonic ms) at which the volume may be taken over. */
  nextMs: number;
  /** The namespace ids by the NQNs of gates; null until the record has been read. */
  ids: ReadonlyMap<string, number> | null = null;
  /** The time (monotonic ms) of the last request for its record. */
  readMs = -GATE_RECORD_LOOK_MS;
  /** True if an attempt to read its record has ended, with or without success. */
  hasTried = false;
  /** The time (monotonic ms) at which a server last offered the volume. */
  offeredMs: number;

  constructor(facts: OfferedVolume, ana: AnaState, nowMs: number) {
    this.facts = facts;
    this.label = volumeLabel(facts);
    this.ana = ana;
    this.offeredMs = nowMs;
    this.nextMs = ana === 'inaccessible' ? nowMs + GATE_SWITCH_MS : nowMs;
  }

  get id(): string {
    return this.facts.id;
  }

  get sizeBytes(): number {
    return this.facts.sizeBytes;
  }

  get blockSizeBytes(): number {
    return this.facts.blockSizeBytes;
  }

  submit(_io: VolumeIo): void {
    assert(false, 'A standby executes nothing');
  }

  extents(): void {
    assert(false, 'A standby reads nothing');
  }
}

/** A namespace of one gate without a volume behind it. */
export class StandbyNamespace implements GateNamespace {
  readonly isElsewhere = true;
  readonly nsid: number;
  readonly volume: StandbyVolume;
  readonly wanted: () => void;
  readonly order = null;
  /**
   * Present so that hosts see support for reservations at each path. Reservation commands do not get this far, because a standby answers
   * them with its state.
   */
  readonly reservations = new Reservations(null, () => Promise.reject(new Error('A standby keeps no reservations')));

  constructor(nsid: number, volume: StandbyVolume, wanted: () => void) {
    this.nsid = nsid;
    this.volume = volume;
    this.wanted = wanted;
  }

  get ana(): AnaState {
    return this.volume.ana;
  }
}

export class Standbys {
  private readonly ports: StandbyPorts;
  private readonly gates: () => Iterable<StandbyGate>;
  private readonly volumes = new Map<string, StandbyVolume>();
  /** Records that are being read. */
  private reading = 0;

  constructor(ports: StandbyPorts, gates: () => Iterable<StandbyGate>) {
    this.ports = ports;
    this.gates = gates;
  }

  /**
   * Called now and then: shows volumes that servers offer and for which `isHere` is false, and ends the waits after a switch. A volume that
   * no server offers stays for GATE_ABSENT_MS, because hosts would otherwise remove its devices although its pool may only be moving.
   */
  look(isHere: (id: string) => boolean): void {
    const gates = [...this.gates()];
    const nowMs = this.ports.clock.monotonicMs();
    for (const offered of gates.length === 0 ? [] : this.ports.servers.offered()) {
      const known = this.volumes.get(offered.id);
      if (known !== undefined) this.follow(known, offered, nowMs);
      else if (!isHere(offered.id) && gates.some(({ config }) => offers(config, offered)))
        this.volumes.set(offered.id, new StandbyVolume(offered, 'non-optimized', nowMs));
    }
    // The volume whose record was requested longest ago comes first, because only some records are read at a time.
    for (const volume of [...this.volumes.values()].toSorted((one, other) => one.readMs - other.readMs)) {
      if (nowMs - volume.offeredMs >= GATE_ABSENT_MS || gates.length === 0) this.forget(volume);
      else this.show(volume, gates, nowMs);
      if (volume.ana === 'inaccessible' && nowMs >= volume.nextMs) this.become(volume, 'non-optimized');
    }
  }

  /**
   * True if a server's list has arrived, and all listed volumes that have an id here are shown. A gate that lets hosts in earlier would
   * tell them that these volumes are gone. `isHere` returns true if the volume is attached here and shown.
   */
  isSettled(isHere: (id: string) => boolean): boolean {
    const hasGates = [...this.gates()].length > 0;
    return !hasGates || (this.ports.servers.offered().length > 0 && !this.hasUnread(isHere));
  }

  /**
   * True if, among the listed volumes that a gate names and that are not here (`isHere`), one has a record that still has to be read.
   */
  hasUnread(isHere: (id: string) => boolean): boolean {
    const gates = [...this.gates()];
    const isKnown = (known: StandbyVolume | undefined): boolean => known !== undefined && (known.ids !== null || known.hasTried);
    const isWanted = (one: OfferedVolume): boolean => gates.some(({ config }) => offers(config, one)) && !isHere(one.id);
    return this.ports.servers.offered().some((one) => isWanted(one) && !isKnown(this.volumes.get(one.id)));
  }

  /** Another gate has taken a volume from this rsiod; `ids` are the namespace ids that the volume had at its gates. */
  lost(facts: OfferedVolume, ids: ReadonlyMap<string, number>): void {
    const volume = new StandbyVolume(facts, 'inaccessible', this.ports.clock.monotonicMs());
    volume.ids = ids;
    this.volumes.set(facts.id, volume);
    for (const gate of this.gates()) this.showAt(gate, volume, true);
  }

  /** Removes a standby, because the volume is here and all gates show it, or because it is not to be offered any more. */
  forgetId(id: string): void {
    const volume = this.volumes.get(id);
    if (volume !== undefined) this.forget(volume);
  }

  private follow(known: StandbyVolume, volume: OfferedVolume, nowMs: number): void {
    const hasGrown = volume.sizeBytes > known.facts.sizeBytes;
    known.offeredMs = nowMs;
    if (volume.sizeBytes >= known.facts.sizeBytes) known.facts = volume;
    if (hasGrown) for (const [gate, nsid] of this.shownAt(known)) gate.subsystem.changed(nsid);
  }

  private show(volume: StandbyVolume, gates: readonly StandbyGate[], nowMs: number): void {
    this.readMissing(volume, gates, nowMs);
    for (const gate of gates) this.showAt(gate, volume);
  }

  private readMissing(volume: StandbyVolume, gates: readonly StandbyGate[], nowMs: number): void {
    const isMissing = gates.some(({ config, nqn }) => offers(config, volume.facts) && volume.ids?.has(nqn) !== true);
    const mayRead = this.reading < GATE_RECORD_READS_MAX && nowMs - volume.readMs >= GATE_RECORD_LOOK_MS;
    if (isMissing && mayRead) void this.read(volume, nowMs);
  }

  /**
   * Called when a record has been read. Reads further records at once rather than at the next tick, because hosts wait until all records
   * have been read for the first time.
   */
  private readOthers(): void {
    const gates = [...this.gates()];
    const nowMs = this.ports.clock.monotonicMs();
    for (const volume of this.volumes.values()) {
      if (this.reading >= GATE_RECORD_READS_MAX) return;
      if (!volume.hasTried) this.readMissing(volume, gates, nowMs);
    }
  }

  /**
   * A volume that is shown as attached keeps its place unless `isGone` is true, because another gate may not have been able to show it yet.
   */
  private showAt(gate: StandbyGate, volume: StandbyVolume, isGone = false): void {
    const { namespaces } = gate.subsystem;
    const nsid = volume.ids?.get(gate.nqn);
    const shown = nsid === undefined ? undefined : namespaces.get(nsid);
    const isWanted = offers(gate.config, volume.facts);
    if (shown instanceof StandbyNamespace && shown.volume === volume && !isWanted) gate.hide(shown.nsid);
    if (nsid === undefined || !isWanted || (shown instanceof StandbyNamespace && shown.volume === volume)) return;
    if (shown !== undefined && shown.volume.id !== volume.id) {
      const { log, lines } = this.ports;
      const why = `its namespace id ${nsid} is that of another volume here: give each gate of this name its own number (key member)`;
      const { name } = gate.config;
      return lines.note(`Namespace ids of gate ${name}`, () => log.warn(`Gate ${name} does not offer ${volume.label}: ${why}`));
    }
    if (shown === undefined ? namespaces.size >= GATE_VOLUMES_MAX : !(shown instanceof StandbyNamespace || isGone)) return;
    gate.show(new StandbyNamespace(nsid, volume, () => this.wanted(volume)));
  }

  private async read(volume: StandbyVolume, nowMs: number): Promise<void> {
    const { log, lines } = this.ports;
    const { label } = volume;
    this.reading++;
    volume.readMs = nowMs;
    try {
      const content = recordContent(await this.ports.servers.readRecord(volume.facts), label);
      volume.ids = new Map(content.ids.map(({ nqn, nsid }) => [nqn, nsid]));
      if (this.volumes.get(volume.id) === volume) for (const gate of this.gates()) this.showAt(gate, volume);
    } catch (thrown) {
      const why = toRsError(thrown).message;
      if (why !== volume.why) lines.note('Gate records that cannot be read', () => log.warn(`The gates do not offer ${label} yet: ${why}`));
      volume.why = why;
    }
    volume.hasTried = true;
    this.reading--;
    this.readOthers();
  }

  /** A host has sent I/O for a volume that is not here. */
  private wanted(volume: StandbyVolume): void {
    const isTimely = volume.ana === 'non-optimized' && this.ports.clock.monotonicMs() >= volume.nextMs;
    if (isTimely && this.volumes.get(volume.id) === volume) void this.take(volume);
  }

  private async take(volume: StandbyVolume): Promise<void> {
    const { clock, log } = this.ports;
    const {
      label,
      facts: { id },
    } = volume;
    this.become(volume, 'change');
    log.info(`A host asks for ${label} at this gate, which takes it over`);
    volume.why = await this.taken(volume);
    // After a success, the attached volume has already replaced this standby.
    if (this.volumes.get(id) !== volume) return;
    volume.nextMs = clock.monotonicMs() + GATE_SWITCH_MS;
    this.become(volume, 'inaccessible');
    const again = `the next attempt is when a host asks after ${GATE_SWITCH_MS / 1000} s`;
    log.warn(`This gate has not taken ${label} over: ${volume.why ?? 'it cannot be shown to hosts'}; ${again}`);
  }

  /** Reads the record again, because another gate, or no gate, may have the volume meanwhile. */
  private async taken({ facts, label }: StandbyVolume): Promise<string | null> {
    const { servers } = this.ports;
    try {
      return await servers.take(facts, recordContent(await servers.readRecord(facts), label).active);
    } catch (thrown) {
      return toRsError(thrown).message;
    }
  }

  private become(volume: StandbyVolume, ana: AnaState): void {
    volume.ana = ana;
    for (const [gate, nsid] of this.shownAt(volume)) gate.subsystem.anaChanged(nsid);
  }

  private forget(volume: StandbyVolume): void {
    this.volumes.delete(volume.id);
    for (const [gate, nsid] of this.shownAt(volume)) gate.hide(nsid);
  }

  private *shownAt(volume: StandbyVolume): Iterable<readonly [StandbyGate, number]> {
    for (const gate of this.gates())
      for (const namespace of gate.subsystem.namespaces.values())
        if (namespace instanceof StandbyNamespace && namespace.volume === volume) yield [gate, namespace.nsid];
  }
}

/** True if the configuration of a gate names the volume. */
export function offers({ volumes }: Pick<ClientGateConfig, 'volumes'>, volume: Pick<VolumeIdentity, 'name' | 'universe'>): boolean {
  if (volumes === 'all') return true;
  return volumes.includes(nameInUniverse(volume)) || (volume.universe === 0 && volumes.includes(volume.name));
}
