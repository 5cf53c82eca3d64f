// Bounds of the plans: regions that are settled or cleared at a time. Units are in the names.
// The assertions below check relations between the bounds.

import { assert } from '@rsio/common/lib/assert';
import { MIRROR_CLEAR_RANGES_MAX } from '../../../wire/limits.ts';

/** Regions that one flush settles at most. Further regions wait for the next flush. */
export const SETTLE_REGIONS_MAX = 64;
/** Regions that one flush settles if only one replica is in sync, so that nothing is copied. */
export const SETTLE_ALONE_MAX = 4_096;
/** Most regions that are settled earlier because a user's READ waits for them. Further regions are settled in their turn. */
export const URGENT_REGIONS_MAX = 1_024;

/** Most runs of blocks in one piece. Each run needs a READ and a WRITE of its own. */
export const PIECE_RUNS_MAX = 16;

/** Most runs of regions, and most regions, of one clearing. Changes of these regions wait until it ends. */
export const CLEAR_RUNS_MAX = 32;
export const CLEAR_REGIONS_MAX = 4_096;

assert(CLEAR_RUNS_MAX <= MIRROR_CLEAR_RANGES_MAX, 'The runs of a clearing must fit into one request');
