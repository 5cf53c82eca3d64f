// A namespace whose volume is attached here. Invariant: it is optimized while its volume has a path; without a path for GATE_PATHLESS_MS, a
// gate that has partners tells its hosts to use another one. If no other gate takes the volume over meanwhile, the namespace is optimized
// again when the volume gets a path.

import type { FrontendVolume } from '@rsio/rsiod/volumes/frontend-volume';
import { GATE_PATHLESS_MS } from './limits.ts';
import type { VolumeOrder } from './order/volume-order.ts';
import type { Reservations } from './reservations/reservations.ts';
import type { AnaState, GateNamespace } from './ports/gate-namespace.ts';

export class ActiveNamespace implements GateNamespace {
  readonly isElsewhere = false;
  readonly nsid: number;
  readonly volume: FrontendVolume;
  readonly reservations: Reservations | null;
  readonly order: VolumeOrder;
  ana: AnaState = 'optimized';
  private pathlessMs: number | null = null;

  constructor(nsid: number, volume: FrontendVolume, reservations: Reservations | null, order: VolumeOrder) {
    this.order = order;
    this.nsid = nsid;
    this.volume = volume;
    this.reservations = reservations;
  }

  /** The volume is here already, so that no other gate has to be asked for it. */
  wanted(): void {}

  /** Called now and then. Returns true if the state has changed. */
  look(nowMs: number): boolean {
    this.pathlessMs = this.volume.isHalted ? (this.pathlessMs ?? nowMs) : null;
    const was = this.ana;
    this.ana = this.pathlessMs !== null && nowMs - this.pathlessMs >= GATE_PATHLESS_MS ? 'inaccessible' : 'optimized';
    return this.ana !== was;
  }
}
