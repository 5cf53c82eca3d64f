// Bounds for the code in rssrv's replicas/ folder. Names include the units. The file src/limits.ts asserts the relations between these bounds
// and the bounds of other folders.

import { assert } from '@rsio/common/lib/assert';

/** Bytes of the map that are written at a time: a page of the kernel, and a multiple of the sectors of any disk. */
export const MAP_PAGE_BYTES = 4_096;
/** Bytes before the bits in the file of a map. */
export const MAP_HEADER_BYTES = 4_096;
/** A handle of a replica that is opened waits at most this long until an earlier one of this process is closed. */
export const MAP_CLOSE_WAIT_MS = 10_000;
/** Waiting and running changes of a replica for which records are kept for reuse. */
export const CHANGES_KEPT_MAX = 1_024;

assert(MAP_HEADER_BYTES % MAP_PAGE_BYTES === 0, 'The pages of a map must be pages of its file');
