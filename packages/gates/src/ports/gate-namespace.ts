// One volume at a gate as hosts see it in any protocol: its number, its state, its size and abilities.
// Invariant: a number means the same volume for as long as the gate exists.

import type { FrontendVolume } from '@rsio/rsiod/volumes/frontend-volume';
import type { VolumeOrder } from '../order/volume-order.ts';
import type { Reservations } from '../reservations/reservations.ts';

/**
 * `optimized`: this gate has the volume. `non-optimized`: another gate of the same subsystem has the volume, and this gate takes it over
 * when a host asks for it. `change`: the volume is being taken over. `inaccessible`: it cannot be used here now.
 */
export type AnaState = 'optimized' | 'non-optimized' | 'inaccessible' | 'change';

/** The parts of a volume that a gate uses. `submit` and `extents` are called only while its namespace is optimized. */
export type GateVolume = Pick<FrontendVolume, 'id' | 'sizeBytes' | 'blockSizeBytes' | 'readonly' | 'canDiscard' | 'submit' | 'extents'>;

export interface GateNamespace {
  readonly nsid: number;
  readonly volume: GateVolume;
  /** After each change, `anaChanged` of the target is called. */
  readonly ana: AnaState;
  /** True if another gate has the volume, so that it can be taken over. */
  readonly isElsewhere: boolean;
  /** Called when a host asks for the volume while the namespace is not optimized. The host's command is answered without the volume. */
  wanted(): void;
  /** The reservations of the volume, which all its gates share; null if they cannot be kept. */
  readonly reservations: Reservations | null;
  /** The order of changes of the volume, which all its gates share; null if the volume is not here. */
  readonly order: VolumeOrder | null;
}
