// The target of one gate: its volumes as logical units. iscsi-protocol.ts has the logins. Invariants: a number means the same volume for as
// long as the gate exists; the engine is notified of each change of a unit in the same turn of the event loop.

import { assert } from '@rsio/common/lib/assert';
import type { GateNamespace } from '../ports/gate-namespace.ts';
import type { GateTarget } from '../ports/gate-protocol.ts';
import type { NexusOptions, ScsiNexus, ScsiTargetOptions } from '../scsi/port.ts';
import { ScsiTarget } from '../scsi/target.ts';
import { UnitAccess } from './unit-access.ts';

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
