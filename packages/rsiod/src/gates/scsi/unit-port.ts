// What a gate gives for one logical unit; port.ts has what a transport gives. Invariant: the engine calls `submit` and `extents` of a volume
// only while its unit is active.

import type { FrontendVolume } from '../../volumes/frontend-volume.ts';
import type { Reservations } from '../reservations/reservations.ts';

/**
 * `active`: this gate has the volume. `standby`: another gate has it, or this one has no path to it; SET TARGET PORT GROUPS moves it here.
 * `transitioning`: it is being moved here, or an order to move it is kept until it may be carried out.
 */
export type AccessState = 'active' | 'standby' | 'transitioning';

/** The parts of a volume that the engine uses. */
export type ScsiVolume = Pick<FrontendVolume, 'id' | 'sizeBytes' | 'blockSizeBytes' | 'readonly' | 'canDiscard' | 'submit' | 'extents'>;

/** The engine reads the fields each time, so that they may change. */
export interface UnitPort {
  /** 0 to SCSI_LUN_MAX. */
  readonly lun: number;
  readonly volume: ScsiVolume;
  /** When it has changed, `accessChanged` of the target is called. */
  readonly access: AccessState;
  /**
   * A host has ordered the volume to this gate. Returns false if that can never be (then the command is refused). After true, the unit is
   * active, or it is transitioning until the volume is here or the take-over has failed.
   */
  order(): boolean;
  /** The reservations of the volume, which all its gates share; null if they cannot be kept. */
  readonly reservations: Reservations | null;
}
