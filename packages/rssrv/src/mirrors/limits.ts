// Bounds of rssrv's mirrors/ folder: records of voters, replicas and their intent maps. Units are in the names. src/limits.ts asserts
// that these bounds agree with the bounds of other folders.

import { assert } from '@rsio/base/lib/assert';

/**
 * Longest time for which the answer to a CLAIM, PLACE or UNPLACE waits until the requests of lower terms have ended, or until the replica
 * has changed. After this time, the server sends an answer that does not name the replica, and the work continues.
 */
export const REPLICA_WAIT_MS = 30_000;

// Replicas and their intent maps.

/** The map is written in units of this size, which is the size of a page of the kernel, and a multiple of the sector size of every disk. */
export const MAP_PAGE_BYTES = 4_096;
/** Size of the header in the file of a map, before the bits. */
export const MAP_HEADER_BYTES = 4_096;
/** Longest time for which a new handle of a replica waits until an earlier handle of the replica in the same process is closed. */
export const MAP_CLOSE_WAIT_MS = 10_000;
/** Maximum number of objects for changes that a replica keeps for reuse. */
export const CHANGES_KEPT_MAX = 1_024;

assert(MAP_HEADER_BYTES % MAP_PAGE_BYTES === 0, 'The pages of a map must be pages of its file');

// Records of voters.

/** Maximum number of mirrors of which a server keeps records. An unreadable record counts towards this maximum. */
export const VOTER_RECORDS_MAX = 1_024;
/** Maximum number of records that one client can found on a server. */
export const VOTER_RECORDS_PER_CLIENT_MAX = 256;
/** Maximum number of waiting and running VOTEs about one mirror. Further VOTEs are refused. */
export const VOTES_WAITING_MAX = 128;
