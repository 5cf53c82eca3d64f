// The interface of the SCSI engine to the gate for one logical unit; port.ts has the interface to the transport. Invariant: the engine
// calls `submit` and `extents` of a volume only while its unit is active.

import type { FrontendVolume } from '@rsio/rsiod/volumes/frontend-volume';
import type { VolumeOrder } from '../order/volume-order.ts';
import type { Reservations } from '../reservations/reservations.ts';

/**
 * `active`: this gate has the volume. `standby`: another gate has the volume, or this gate has no path to it; SET TARGET PORT GROUPS moves
 * it here. `transitioning`: the volume is being moved here, or an order to move it waits until it may be carried out.
 */
export type AccessState = 'active' | 'standby' | 'transitioning';

/** The parts of a volume that the engine uses. */
export type ScsiVolume = Pick<FrontendVolume, 'id' | 'sizeBytes' | 'blockSizeBytes' | 'readonly' | 'canDiscard' | 'submit' | 'extents'>;

/** The engine reads the fields each time, so that they may change. */
export interface UnitPort {
  /** 0 to SCSI_LUN_MAX. */
  readonly lun: number;
  readonly volume: ScsiVolume;
  /** After each change, `accessChanged` of the target is called. */
  readonly access: AccessState;
  /**
   * A host has ordered the volume to this gate. Returns false if the volume cannot be moved here; the command is then refused. Otherwise,
   * the unit is active, or transitioning until the volume is here or the take-over has failed.
   */
  orderHere(): boolean;
  /** The reservations of the volume, which all its gates share; null if they cannot be kept. */
  readonly reservations: Reservations | null;
  /** The order of the changes of the volume; null if the volume is not here. */
  readonly order: VolumeOrder | null;
}
