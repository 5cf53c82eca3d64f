// Bounds of the plans: regions that are settled or cleared at a time. Units are in the names.
// The assertions below check relations between the bounds.

import { assert } from '@rsio/common/lib/assert';
import { MIRROR_CLEAR_RANGES_MAX } from '../../../wire/limits.ts';

/** Regions that one flush settles at most. Further ones wait for the next flush. */
export const SETTLE_REGIONS_MAX = 64;
/** The same if one replica is in sync alone, so that nothing is copied. */
export const SETTLE_ALONE_MAX = 4_096;
/** Regions that users' READs wait for and that are remembered. Further ones are settled in their turn. */
export const URGENT_REGIONS_MAX = 1_024;

/** Runs of blocks that are copied together at most: each is read, and then written, by a request of its own. */
export const PIECE_RUNS_MAX = 16;

/** Runs of regions, and regions, that are cleared at a time. Changes of these regions wait meanwhile. */
export const CLEAR_RUNS_MAX = 32;
export const CLEAR_REGIONS_MAX = 4_096;

assert(CLEAR_RUNS_MAX <= MIRROR_CLEAR_RANGES_MAX, 'The runs of a clearing must fit into one request');
