// Bounds of what a client remembers of its changes, so that a replica that returns is copied only what it may lack.
// Units are in the names. The assertions below check relations between the bounds.

import { assert } from '@rsio/common/lib/assert';
import { MIRROR_REGION_BYTES } from '../../wire/limits.ts';

/** A change is remembered in blocks of this size. */
export const LACK_BLOCK_BYTES = 4_096;
export const LACK_BLOCKS = MIRROR_REGION_BYTES / LACK_BLOCK_BYTES;
/** Regions with times of their blocks, all mirrors of the process together: 4 KiB of memory each. Further ones have one time together. */
export const TIMED_REGIONS_MAX = 8_192;
/** A change of more regions than this is not remembered block by block. */
export const CHANGE_REGIONS_MAX = 64;
/** Unit of the times. 32 bits of it are two years; after that, everything counts as just changed. */
export const LACK_TICK_MS = 16;
/** A replica that is copied is flushed each time it has got so much. A copy that starts again goes on from there. */
export const CHECKPOINT_BYTES = 64 * 1024 * 1024;

assert(LACK_BLOCKS % 32 === 0, 'The blocks of a region must fill whole words');
