// The target of one gate: its volumes as logical units. iscsi-protocol.ts has the logins. Invariants: a number means the same volume for as
// long as the gate exists; the engine is notified of each change of a unit in the same turn of the event loop.

import { assert } from '@rsio/base/lib/assert';
import type { GateNamespace } from '../ports/gate-namespace.ts';
import type { GateTarget } from '../ports/gate-protocol.ts';
import type { NexusOptions, ScsiNexus, ScsiTargetOptions } from '../scsi/port.ts';
import { ScsiTarget } from '../scsi/target.ts';
import type { VolumeOrder } from '../order/volume-order.ts';
import type { Reservations } from '../reservations/reservations.ts';
import type { AccessState, ScsiVolume, UnitPort } from '../scsi/unit-port.ts';

// One namespace of a gate as a logical unit: its number, its volume, and its state in the words of SCSI. Invariant: a host's order to move the
// volume here is kept until the volume is here, or until an attempt to take it over has failed.
class UnitAccess implements UnitPort {
  namespace: GateNamespace;
  /** `asked`: a host has ordered the volume, which may not be taken over yet. `begun`: it is being taken over. */
  private ordered: 'no' | 'asked' | 'begun' = 'no';

  constructor(namespace: GateNamespace) {
    this.namespace = namespace;
  }

  get lun(): number {
    return this.namespace.nsid;
  }

  get volume(): ScsiVolume {
    return this.namespace.volume;
  }

  get reservations(): Reservations | null {
    return this.namespace.reservations;
  }

  get order(): VolumeOrder | null {
    return this.namespace.order;
  }

  get access(): AccessState {
    const { ana } = this.namespace;
    if (ana === 'optimized') return 'active';
    return ana === 'change' || this.ordered !== 'no' ? 'transitioning' : 'standby';
  }

  orderHere(): boolean {
    if (this.namespace.ana === 'optimized') return true;
    // The volume is here but has no path, so that its hosts should use another gate.
    if (!this.namespace.isElsewhere) return false;
    if (this.ordered === 'no') this.ordered = 'asked';
    this.follow();
    return true;
  }

  /** Called when the state of the namespace has changed. */
  follow(): void {
    const { ana } = this.namespace;
    if (ana === 'optimized') this.ordered = 'no';
    else if (ana === 'change' && this.ordered === 'asked') this.ordered = 'begun';
    else if (ana !== 'change' && this.ordered === 'begun') this.ordered = 'no';
    if (this.ordered === 'asked' && ana === 'non-optimized') this.namespace.wanted();
  }
}

export class IscsiTarget implements GateTarget {
  readonly namespaces = new Map<number, GateNamespace>();
  private readonly units = new Map<number, UnitAccess>();
  private readonly scsi: ScsiTarget;

  constructor(options: ScsiTargetOptions) {
    this.scsi = new ScsiTarget(options);
  }

  begin(options: NexusOptions): ScsiNexus {
    return this.scsi.begin(options);
  }

  add(namespace: GateNamespace): void {
    const { nsid, volume } = namespace;
    const before = this.namespaces.get(nsid);
    assert(before === undefined || before.volume.id === volume.id, 'A number means the same volume');
    this.namespaces.set(nsid, namespace);
    const unit = this.units.get(nsid) ?? new UnitAccess(namespace);
    unit.namespace = namespace;
    this.units.set(nsid, unit);
    unit.follow();
    this.scsi.show(unit);
  }

  remove(nsid: number): void {
    if (!this.namespaces.delete(nsid)) return;
    this.units.delete(nsid);
    this.scsi.hide(nsid);
  }

  changed(nsid: number): void {
    this.scsi.changed(nsid);
  }

  anaChanged(nsid: number): void {
    this.units.get(nsid)?.follow();
    this.scsi.accessChanged(nsid);
  }

  lostWrites(nsid: number): void {
    this.scsi.lostWrites(nsid);
  }

  tick(): void {
    this.scsi.tick();
  }
}
