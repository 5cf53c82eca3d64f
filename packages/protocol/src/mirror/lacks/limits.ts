// Bounds of the notes about changes, with which the client copies to a returning replica only blocks that the replica may lack. Units are
// in the names. The assertions below check relations between the bounds.

import { assert } from '@rsio/common/lib/assert';
import { MIRROR_REGION_BYTES } from '../../wire/limits.ts';

/** Changes are noted in blocks of this size. */
export const LACK_BLOCK_BYTES = 4_096;
export const LACK_BLOCKS = MIRROR_REGION_BYTES / LACK_BLOCK_BYTES;
/**
 * Most regions with a time for each block, in all mirrors of the process. Each takes 4 KiB of memory. All further regions share one time.
 */
export const TIMED_REGIONS_MAX = 8_192;
/** A change of more regions than this is not noted block by block. */
export const CHANGE_REGIONS_MAX = 64;
/** Unit of the times. 32 bits last for two years; after that, every block counts as just changed. */
export const LACK_TICK_MS = 16;
/** Bytes copied to a replica between two flushes. A copy that starts again need not repeat the flushed part. */
export const CHECKPOINT_BYTES = 64 * 1024 * 1024;

assert(LACK_BLOCKS % 32 === 0, 'The blocks of a region must fill whole words');
