// Bounds of rssrv's mirrors/ folder: records of voters, replicas and their intent maps. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

import { assert } from '@rsio/common/lib/assert';

/**
 * A CLAIM, PLACE or UNPLACE waits at most this long until nothing of lower terms runs on the replica, and until the replica is placed. Then
 * it is answered without the replica. What it has begun goes on.
 */
export const REPLICA_WAIT_MS = 30_000;

// Replicas and their intent maps.

/** Bytes of the map that are written at a time: a page of the kernel, and a multiple of the sectors of any disk. */
export const MAP_PAGE_BYTES = 4_096;
/** Bytes before the bits in the file of a map. */
export const MAP_HEADER_BYTES = 4_096;
/** A handle of a replica that is opened waits at most this long until an earlier one of this process is closed. */
export const MAP_CLOSE_WAIT_MS = 10_000;
/** Waiting and running changes of a replica for which records are kept for reuse. */
export const CHANGES_KEPT_MAX = 1_024;

assert(MAP_HEADER_BYTES % MAP_PAGE_BYTES === 0, 'The pages of a map must be pages of its file');

// Records of voters.

/** Mirrors of which a server keeps records, with those that cannot be read. */
export const VOTER_RECORDS_MAX = 1_024;
/** Records that one client may have founded on a server. */
export const VOTER_RECORDS_PER_CLIENT_MAX = 256;
/** VOTEs about one mirror that wait or are executed. Further ones are refused. */
export const VOTES_WAITING_MAX = 128;
