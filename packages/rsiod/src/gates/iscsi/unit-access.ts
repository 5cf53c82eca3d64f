// One namespace of a gate as a logical unit: its number, its volume, and its state in the words of SCSI. Invariant: a host's order to move the
// volume here is kept until the volume is here, or until an attempt to take it over has failed.

import type { GateNamespace } from '../ports/gate-namespace.ts';
import type { VolumeOrder } from '../order/volume-order.ts';
import type { Reservations } from '../reservations/reservations.ts';
import type { AccessState, ScsiVolume, UnitPort } from '../scsi/unit-port.ts';

export class UnitAccess implements UnitPort {
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
