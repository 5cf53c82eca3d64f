// Bounds and times of comparing the replicas of a mirror.
// Bounds of the wire are in packages/protocol/src/wire/limits.ts.

import { assert } from '@rsio/common/lib/assert';
import { SECTOR_BYTES } from '@rsio/common/lib/limits';
import { MIRROR_REGION_BYTES, MIRROR_SUM_PIECE_SECTORS_MAX, MIRROR_SUMS_PIECES_MAX, MIRROR_SUMS_SECTORS_MAX } from '../../wire/limits.ts';

const KIB = 1024;

/** Bytes compared at once, without and with users' I/O in progress. Changes of the range wait until it is compared. */
export const VERIFY_CHUNK_BYTES = MIRROR_SUMS_SECTORS_MAX * SECTOR_BYTES;
export const VERIFY_BUSY_CHUNK_BYTES = 256 * KIB;
/** Bytes of a piece with one checksum. */
export const VERIFY_PIECE_BYTES = MIRROR_SUM_PIECE_SECTORS_MAX * SECTOR_BYTES;
/** Bytes of a piece when a difference is narrowed down. Differences are reported in this unit. */
export const VERIFY_FINE_BYTES = 4 * KIB;
/** Most ranges of a report that differ. Of further ranges, only the bytes are counted. */
export const VERIFY_RANGES_MAX = 1_000;
/** Time until an attempt that failed is repeated. */
export const VERIFY_RETRY_MS = 1_000;

assert(
  MIRROR_REGION_BYTES % VERIFY_CHUNK_BYTES === 0 && VERIFY_CHUNK_BYTES % VERIFY_BUSY_CHUNK_BYTES === 0,
  'Chunks must fit into regions',
);
assert(VERIFY_BUSY_CHUNK_BYTES % VERIFY_PIECE_BYTES === 0 && VERIFY_PIECE_BYTES % VERIFY_FINE_BYTES === 0, 'Pieces must fit into chunks');
assert(VERIFY_CHUNK_BYTES / VERIFY_PIECE_BYTES <= MIRROR_SUMS_PIECES_MAX, 'A chunk must be one request');
