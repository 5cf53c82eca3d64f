// Offers the attached volumes at the gates that want them. Invariants: a gate executes commands for a volume only while the volume is shown;
// its namespace id is on disk and in the gate record before a host can see it, and so are the reservations that other gates have granted;
// no gate offers a volume that several clients may write, and a gate with partners offers no volume for which two gates could be active.

import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { isSnapshot, nameInUniverse, volumeLabel } from '@rsio/base/lib/volume-name';
import { STATUS } from '@rsio/protocol/wire/status';
import type { FrontendVolume } from '@rsio/rsiod/volumes/frontend-volume';
import { ActiveNamespace } from './active-namespace.ts';
import { refuseOfPrograms, type TakeFromPrograms } from '@rsio/rsiod/frontends/audience';
import type { Gate, GateLog } from './gate.ts';
import { GateRecord } from '@rsio/rsiod/notes/gate-record';
import type { GateOrder } from './order/gate-order.ts';
import { VolumeOrder } from './order/volume-order.ts';
import { GATE_IDS_EACH, GATE_LOOK_MS, GATE_RECORD_LOOK_MS, GATE_SETTLE_MS, GATE_UNITS_EACH, GATE_VOLUMES_MAX } from './limits.ts';
import type { NamespaceNumbers } from './namespace-numbers.ts';
import { Reservations } from './reservations/reservations.ts';
import { offers, type Standbys } from './standbys.ts';

export interface OfferingPorts {
  readonly clock: Clock;
  readonly log: GateLog;
  readonly numbers: NamespaceNumbers;
  readonly standbys: Standbys;
  readonly takeFromPrograms: TakeFromPrograms;
  readonly order: GateOrder;
  gates(): Iterable<Gate>;
  /** Name of this client in a namespace. */
  nodeOf(namespace: string): string;
}

interface Shown {
  /** The gate record; null if the volume's server keeps none. */
  record: Promise<GateRecord | null> | null;
  reservations: Reservations | null;
  /** Made when the volume has come: that counts as a change of every block (rule D3). */
  readonly order: VolumeOrder;
  /** The time (monotonic ms) at which the gates last tried to offer the volume. */
  triedMs: number;
  readonly sinceMs: number;
  /** By the name of the gate: the reason why the gate does not offer the volume. Each reason is logged once. */
  readonly refusals: Map<string, string>;
  isBeingOffered: boolean;
  /** True if the record names this client as the active gate; and the time (monotonic ms) of the last attempt to write that. */
  isNoted: boolean;
  notedMs: number;
}

export class Offering {
  private readonly ports: OfferingPorts;
  private readonly shown = new Map<FrontendVolume, Shown>();
  private lookedMs = 0;

  constructor(ports: OfferingPorts) {
    this.ports = ports;
  }

  async show(volume: FrontendVolume): Promise<void> {
    const known = this.shown.get(volume) ?? {
      record: null,
      reservations: null,
      order: new VolumeOrder(this.ports.order, volume.sizeBytes),
      triedMs: 0,
      sinceMs: this.ports.clock.monotonicMs(),
      refusals: new Map(),
      isBeingOffered: false,
      isNoted: false,
      notedMs: 0,
    };
    this.shown.set(volume, known);
    await this.offerAtAll(volume, known);
    void this.takeOldNoteBack(volume, known);
  }

  /**
   * The volume is being detached. Removes the note of this client, so that gates of other machines do not take the volume over from the
   * next client that attaches it.
   */
  async hide(volume: FrontendVolume): Promise<void> {
    const shown = this.shown.get(volume);
    this.shown.delete(volume);
    this.ports.standbys.forgetId(volume.id);
    for (const [gate, { nsid }] of this.placesOf(volume)) gate.hide(nsid);
    shown?.order.close();
    await this.takeNoteBack(volume, shown?.record ?? null);
  }

  /** Another client has the volume now, perhaps as another gate for the same hosts. The hosts then keep their devices. */
  drop(volume: FrontendVolume): void {
    const ids = [...this.placesOf(volume)].flatMap(([gate, { nsid }]) => (gate.hasPartner ? [[gate.nqn, nsid] as const] : []));
    const shown = this.shown.get(volume);
    this.shown.delete(volume);
    const { namespace, name, universe, id, sizeBytes, blockSizeBytes } = volume;
    if (ids.length > 0) this.ports.standbys.lost({ namespace, name, universe, id, sizeBytes, blockSizeBytes }, new Map(ids));
    for (const [gate, { nsid }] of this.placesOf(volume)) gate.hide(nsid);
    shown?.order.close();
  }

  grown(volume: FrontendVolume): void {
    for (const [gate, { nsid }] of this.placesOf(volume)) gate.subsystem.changed(nsid);
  }

  lostWrites(volume: FrontendVolume): void {
    for (const [gate, { nsid }] of this.placesOf(volume)) gate.subsystem.lostWrites(nsid);
  }

  /** The number of logged-in hosts of each gate that offers the volume. */
  usersOf(volume: FrontendVolume): string[] {
    return [...this.placesOf(volume)].flatMap(([{ hosts, config }]) =>
      hosts.length > 0 ? [`${hosts.length} host${hosts.length === 1 ? '' : 's'} of gate ${config.name}`] : [],
    );
  }

  /** Makes the gate offer the volumes that its configuration names, and no others. */
  async follow(gate: Gate): Promise<void> {
    for (const { volume, nsid } of [...this.activeAt(gate)]) if (!offers(gate.config, volume)) gate.hide(nsid);
    for (const [volume, shown] of this.shown) await this.offerAt(gate, volume, shown);
  }

  /**
   * Called after a change of the gates. If no gate with partners offers a volume here any more, the note is removed, so that other gates do
   * not take the volume from this client.
   */
  async takeNotesBack(): Promise<void> {
    for (const [volume, shown] of this.shown) {
      if (!shown.isNoted) await this.takeOldNoteBack(volume, shown);
      if (!shown.isNoted || this.hasPartners(volume)) continue;
      shown.isNoted = false;
      await this.takeNoteBack(volume, shown.record);
    }
  }

  /**
   * Removes a note of this client that an earlier process made for a gate no longer configured, because other gates would take the volume
   * away.
   */
  private async takeOldNoteBack(volume: FrontendVolume, shown: Shown): Promise<void> {
    const isNeedless = (): boolean => shown.isNoted || this.shown.get(volume) !== shown || this.isWantedByPartners(volume);
    if (isNeedless() || !this.ports.numbers.knows(volume.id)) return;
    const record = await this.recordOf(volume, shown).catch(() => null);
    if (!isNeedless()) await this.takeNoteBack(volume, Promise.resolve(record));
  }

  private isWantedByPartners(volume: FrontendVolume): boolean {
    for (const gate of this.ports.gates()) if (gate.hasPartner && offers(gate.config, volume)) return true;
    return false;
  }

  /** Called with each tick. */
  look(): void {
    const nowMs = this.ports.clock.monotonicMs();
    for (const gate of this.ports.gates())
      if (gate.hasPartner)
        for (const namespace of this.activeAt(gate)) if (namespace.look(nowMs)) gate.subsystem.anaChanged(namespace.nsid);
    if (nowMs - this.lookedMs < GATE_LOOK_MS) return;
    this.lookedMs = nowMs;
    for (const [volume, shown] of this.shown)
      if (nowMs - shown.triedMs >= GATE_RECORD_LOOK_MS && this.isMissing(volume)) void this.offerAtAll(volume, shown);
    for (const [volume, shown] of this.shown)
      if (!shown.isNoted && nowMs - shown.notedMs >= GATE_RECORD_LOOK_MS && this.hasPartners(volume))
        void shown.record?.then((record) => this.noteActive(volume, shown, record)).catch(() => undefined);
    this.ports.standbys.look((id) => this.isShown(id));
  }

  private hasPartners(volume: FrontendVolume): boolean {
    for (const [gate] of this.placesOf(volume)) if (gate.hasPartner) return true;
    return false;
  }

  /** True if no volume of the servers still has to be offered at the gates that want it. */
  get isSettled(): boolean {
    const { standbys } = this.ports;
    const isShown = (id: string): boolean => this.isShown(id);
    standbys.look(isShown);
    return ![...this.shown.values()].some(({ isBeingOffered }) => isBeingOffered) && standbys.isSettled(isShown);
  }

  private isShown(id: string): boolean {
    for (const volume of this.shown.keys()) if (volume.id === id) return true;
    return false;
  }

  private isMissing(volume: FrontendVolume): boolean {
    for (const gate of this.ports.gates()) if (offers(gate.config, volume) && this.placeIn(gate, volume) === null) return true;
    return false;
  }

  private async offerAtAll(volume: FrontendVolume, shown: Shown): Promise<void> {
    if (shown.isBeingOffered) return;
    shown.isBeingOffered = true;
    for (const gate of this.ports.gates()) await this.offerAt(gate, volume, shown);
    shown.isBeingOffered = false;
    if (this.shown.get(volume) === shown && !this.isMissing(volume)) this.ports.standbys.forgetId(volume.id);
  }

  /** A failure is logged, because other frontends of the volume do not depend on it. The gates try again. */
  private async offerAt(gate: Gate, volume: FrontendVolume, shown: Shown): Promise<void> {
    const { config, nqn } = gate;
    if (!offers(config, volume) || this.placeIn(gate, volume) !== null) return;
    shown.triedMs = this.ports.clock.monotonicMs();
    const isShown = (): boolean => this.shown.get(volume) === shown;
    try {
      this.refuse(gate, volume);
      refuseOfPrograms(config, volume);
      const record = await this.recordOf(volume, shown);
      const recorded = record?.idAt(nqn) ?? null;
      const isInUse = (id: string): boolean => this.isShown(id);
      if (recorded === null && this.mustWaitForRecords(gate, shown)) {
        shown.triedMs = -GATE_RECORD_LOOK_MS;
        return;
      }
      const isTaken = (id: number): boolean => (gate.subsystem.namespaces.get(id)?.volume.id ?? volume.id) !== volume.id;
      const nsid = await this.ports.numbers.numberOf(nqn, volume.id, {
        member: config.member ?? 1,
        each: config.protocol === 'nvme' ? GATE_IDS_EACH : GATE_UNITS_EACH,
        recorded,
        isInUse,
        isTaken,
      });
      if (isTaken(nsid)) throw new RsError('E_CONFIG', `its namespace id ${nsid} is that of another volume here`);
      if (!isShown()) return;
      if (recorded === null) await record?.keepId(nqn, nsid);
      // Other volumes may have been added meanwhile.
      this.refuse(gate, volume);
      // Programs lose the volume only if nothing else keeps it from the hosts.
      const isWanted = (): boolean => isShown() && gate.isServing && offers(gate.config, volume) && hasRoom(gate, volume);
      if (!isWanted()) return;
      await this.ports.takeFromPrograms(config, volume, isShown, isWanted);
      if (gate.hasPartner && isShown()) await this.noteActive(volume, shown, record);
      this.refuse(gate, volume);
      if (isWanted() && this.placeIn(gate, volume) === null) gate.show(new ActiveNamespace(nsid, volume, shown.reservations, shown.order));
    } catch (thrown) {
      const { message } = toRsError(thrown);
      if (shown.refusals.get(config.name) !== message)
        this.ports.log.warn(`Gate ${config.name} does not offer ${nameInUniverse(volume)}: ${message}`);
      shown.refusals.set(config.name, message);
    }
  }

  /** If the file of numbers is new, only the records of other volumes tell which ids this gate has given before. */
  private mustWaitForRecords({ hasPartner }: Gate, { sinceMs }: Shown): boolean {
    const { numbers, standbys, clock } = this.ports;
    const mayWait = hasPartner && numbers.isNew && clock.monotonicMs() - sinceMs < GATE_SETTLE_MS;
    return mayWait && standbys.hasUnread((id) => this.isShown(id));
  }

  /** Without the note, no other gate takes the volume over. After a failure, hosts can still use the volume, and the gates try again. */
  private async noteActive(volume: FrontendVolume, shown: Shown, record: GateRecord | null): Promise<void> {
    if (record === null || shown.isNoted) return;
    shown.notedMs = this.ports.clock.monotonicMs();
    shown.isNoted = true;
    try {
      await record.keepActive(this.ports.nodeOf(volume.namespace));
    } catch (thrown) {
      shown.isNoted = false;
      const { message } = toRsError(thrown);
      if (shown.refusals.get('') !== message)
        this.ports.log.warn(`No other gate can take ${volumeLabel(volume)} over, because its gate record was not written: ${message}`);
      shown.refusals.set('', message);
    }
  }

  private async takeNoteBack(volume: FrontendVolume, record: Shown['record']): Promise<void> {
    try {
      if (!volume.isHalted) await (await record)?.keepActive(null);
    } catch (thrown) {
      this.ports.log.warn(`The gate record of ${volumeLabel(volume)} still says that a gate has it: ${toRsError(thrown).message}`);
    }
  }

  private refuse(gate: Gate, volume: FrontendVolume): void {
    const { hasPartner } = gate;
    if (!hasRoom(gate, volume)) throw new RsError('E_LIMIT', `it has ${GATE_VOLUMES_MAX} volumes, which is the limit: detach one of them`);
    // Several clients may read a snapshot, because no client can write to it.
    if (volume.shared && !isSnapshot(volume.name))
      throw new RsError('E_VOLUME', 'several clients may write it at the same time: remove "shared" from rssrvcfg of its server');
    if (hasPartner && (volume.readonly || isSnapshot(volume.name)))
      throw new RsError(
        'E_VOLUME',
        'it is read-only, so that two gates could be active: offer it at a gate of its own without the key member',
      );
  }

  private async recordOf(volume: FrontendVolume, shown: Shown): Promise<GateRecord | null> {
    shown.record ??= this.readRecord(volume, shown);
    try {
      return await shown.record;
    } catch (thrown) {
      shown.record = null;
      throw thrown;
    }
  }

  /**
   * Returns null if the server cannot keep a record of this volume; hosts then get no reservations, and no other gate can take the volume
   * over.
   */
  private async readRecord(volume: FrontendVolume, shown: Shown): Promise<GateRecord | null> {
    const label = volumeLabel(volume);
    if (volume.record === undefined || volume.readonly) return null;
    try {
      const record = await GateRecord.of(volume.record, label);
      shown.reservations = new Reservations(record.reservations, (state) => record.keepReservations(state));
      return record;
    } catch (thrown) {
      const error = toRsError(thrown);
      if (error.context['status'] !== STATUS.UNSUPPORTED) throw error;
      this.ports.log.info(`Hosts get no reservations of ${label}, and no other gate can take it over: ${error.message}`);
      return null;
    }
  }

  private *placesOf(volume: FrontendVolume): Iterable<readonly [Gate, ActiveNamespace]> {
    for (const gate of this.ports.gates()) {
      const place = this.placeIn(gate, volume);
      if (place !== null) yield [gate, place];
    }
  }

  private placeIn(gate: Gate, volume: FrontendVolume): ActiveNamespace | null {
    for (const namespace of this.activeAt(gate)) if (namespace.volume === volume) return namespace;
    return null;
  }

  private *activeAt({ subsystem }: Gate): Iterable<ActiveNamespace> {
    for (const namespace of subsystem.namespaces.values()) if (namespace instanceof ActiveNamespace) yield namespace;
  }
}

/** A volume takes the place of its own standby. */
function hasRoom({ subsystem }: Gate, volume: FrontendVolume): boolean {
  return [...subsystem.namespaces.values()].filter((one) => one.volume.id !== volume.id).length < GATE_VOLUMES_MAX;
}
