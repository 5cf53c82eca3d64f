// Bounds of mirrors: copies, I/O, regions that replicas lack, moments, verification. Units are in the names.
// Invariant: a bound has one place, and bounds that depend on each other are asserted here.

import {
  MIRROR_CLEAR_RANGES_MAX,
  MIRROR_REGION_BYTES,
  MIRROR_SUMS_PIECES_MAX,
  MIRROR_SUMS_SECTORS_MAX,
  MIRROR_SUM_PIECE_SECTORS_MAX,
} from '../wire/limits.ts';
import { assert } from '@rsio/base/lib/assert';
import { BODY_MAX_BYTES, SECTOR_BYTES } from '@rsio/base/lib/limits';

const KIB = 1024;

// --- copying between replicas: pieces, buffers, times

// --- pieces
/** Longest piece that is copied in one step. While a piece is being copied, changes of its range wait. */
export const PIECE_MAX_BYTES = 1024 * KIB;
/** Longest piece that is copied in one step while users' I/O is under way. */
export const PIECE_BUSY_BYTES = 256 * KIB;
/**
 * Piece length of a mirror that gets no larger buffer because other mirrors use all larger buffers. With a small buffer, a mirror copies
 * one piece at a time.
 */
export const PIECE_SMALL_BYTES = 64 * KIB;
/** Maximum number of pieces that one mirror copies at the same time, to all its replicas together. */
export const PIECES_MAX = 8;
/**
 * Maximum number of pieces that one mirror copies at the same time while users' I/O is under way. The number is not 0, so that users never
 * starve a copy.
 */
export const PIECES_BUSY_MAX = 2;
/** Number of pieces, in addition to PIECES_MAX, for regions that users' READs wait for. The rate does not delay these pieces. */
export const PIECES_URGENT_MAX = 4;
/** Total size of the buffers that all mirrors of the process share. In addition, each mirror may have one small buffer. */
export const BUFFERS_MAX_BYTES = 48 * PIECE_MAX_BYTES;
/** Bytes of idle buffers that are kept for reuse. */
export const BUFFERS_KEPT_BYTES = 16 * PIECE_MAX_BYTES;

// --- times
/** Users' I/O counts as under way if the copier has seen a user's request in flight within this time. */
export const USERS_RECENT_MS = 50;
/** With a fixed rate, the copier sends at most as many bytes at once as the rate allows in this time. */
export const RATE_BURST_MS = 100;
/** With a fixed rate, a piece is at most as long as the rate allows in this time. */
export const RATE_PIECE_MS = 1_000;
/** Wait before a failed attempt is repeated. If a replica returns, the attempt is repeated earlier. */
export const COPY_RETRY_MS = 1_000;
/**
 * COPY_RETRY_MAX_MS: longest wait before the copier retries a region that no replica in sync can read. UNREADABLE_MAX: maximum number of
 * unreadable regions that the copier remembers.
 */
export const COPY_RETRY_MAX_MS = 30_000;
export const UNREADABLE_MAX = 64;
/** A region without a change for this time is idle. The copier notices an idle region after at most twice this time. */
export const CLEAR_IDLE_MS = 5_000;
/** A clearing is given up if the changes in progress in its regions do not end within this time. */
export const CLEAR_LOCK_MS = 1_000;

assert(PIECE_MAX_BYTES <= BODY_MAX_BYTES, 'A piece must fit into one request');
assert(MIRROR_REGION_BYTES % PIECE_MAX_BYTES === 0 && PIECE_MAX_BYTES % PIECE_SMALL_BYTES === 0, 'Pieces must fit into regions');
assert(PIECES_BUSY_MAX > 0 && PIECES_BUSY_MAX < PIECES_MAX, 'Copies yield to users and are never stopped by them');

// --- plans: how many regions are settled or cleared at a time

/** Maximum number of regions that one flush settles. Further regions wait for the next flush. */
export const SETTLE_REGIONS_MAX = 64;
/** Maximum number of regions that one flush settles if only one replica is in sync and nothing has to be copied. */
export const SETTLE_ALONE_MAX = 4_096;
/**
 * Maximum number of regions that are settled earlier than others because a user's READ waits for them. Further regions are settled in the
 * usual order.
 */
export const URGENT_REGIONS_MAX = 1_024;

/** Maximum number of runs of blocks in one piece. Each run needs a separate READ and WRITE. */
export const PIECE_RUNS_MAX = 16;

/**
 * Maximum number of runs of regions (CLEAR_RUNS_MAX) and of regions (CLEAR_REGIONS_MAX) in one clearing. Changes of these regions wait
 * until the clearing ends.
 */
export const CLEAR_RUNS_MAX = 32;
export const CLEAR_REGIONS_MAX = 4_096;

assert(CLEAR_RUNS_MAX <= MIRROR_CLEAR_RANGES_MAX, 'The runs of a clearing must fit into one request');

// --- data path of mirrors

/**
 * If a replica does not confirm a READ within this time, the voters are asked. The time is long compared with a round trip, and short
 * compared with `mirror-patience`.
 */
export const CONFIRM_PATIENCE_MS = 200;
/**
 * Maximum number of replicas of a mirror at a time, including replicas that were given up and still count. Each replica has one bit in a
 * mask.
 */
export const REPLICA_BITS = 30;
/** Maximum number of sectors in one ZERO of the copier: the largest value of the field `count` in a header. */
export const ZERO_SECTORS_MAX = 0xffff;

// --- notes about changes: with them, the client copies to a returning replica only the blocks that the replica may lack

/** Changes are noted in blocks of this size. */
export const LACK_BLOCK_BYTES = 4_096;
export const LACK_BLOCKS = MIRROR_REGION_BYTES / LACK_BLOCK_BYTES;
/**
 * Maximum number of regions, in all mirrors of the process, for which a time is kept for each block. The times of one region take 4 KiB of
 * memory. All further regions of a mirror share one time.
 */
export const TIMED_REGIONS_MAX = 8_192;
/** A change of more regions than this is not noted block by block. */
export const CHANGE_REGIONS_MAX = 64;
/** Unit of the times of changes. A time has 32 bits and overflows after two years; every block then counts as just changed. */
export const LACK_TICK_MS = 16;
/** Number of bytes that are copied to a replica between two flushes. A copy that starts again need not repeat the flushed part. */
export const CHECKPOINT_BYTES = 64 * 1024 * 1024;

assert(LACK_BLOCKS % 32 === 0, 'The blocks of a region must fill whole words');

// --- snapshots of a mirror: how long changes of users wait

/** Time within which the changes in progress must end; if this time is exceeded, the moment fails, and the waiting changes continue. */
export const MOMENT_BEGIN_MS = 5_000;
/**
 * Longest time for which changes wait while the servers make their snapshots. The time is enough for two small syncs of a busy file system,
 * and shorter than the time-outs of programs. A snapshot that a server makes after this time does not count.
 */
export const MOMENT_HOLD_MS = 10_000;

// --- comparing the replicas of a mirror

/**
 * Number of bytes that are compared in one step: VERIFY_CHUNK_BYTES, or VERIFY_BUSY_CHUNK_BYTES while users' I/O is in progress. Changes of
 * the range wait until the range is compared.
 */
export const VERIFY_CHUNK_BYTES = MIRROR_SUMS_SECTORS_MAX * SECTOR_BYTES;
export const VERIFY_BUSY_CHUNK_BYTES = 256 * KIB;
/** Bytes of a piece with one checksum. */
export const VERIFY_PIECE_BYTES = MIRROR_SUM_PIECE_SECTORS_MAX * SECTOR_BYTES;
/** Size in bytes of the pieces that are compared when a difference is narrowed down. Differences are reported in this unit. */
export const VERIFY_FINE_BYTES = 4 * KIB;
/** Maximum number of differing ranges that a report lists. For further ranges, the report only counts the bytes. */
export const VERIFY_RANGES_MAX = 1_000;
/** Wait before a failed attempt is repeated. */
export const VERIFY_RETRY_MS = 1_000;

assert(
  MIRROR_REGION_BYTES % VERIFY_CHUNK_BYTES === 0 && VERIFY_CHUNK_BYTES % VERIFY_BUSY_CHUNK_BYTES === 0,
  'Chunks must fit into regions',
);
assert(VERIFY_BUSY_CHUNK_BYTES % VERIFY_PIECE_BYTES === 0 && VERIFY_PIECE_BYTES % VERIFY_FINE_BYTES === 0, 'Pieces must fit into chunks');
assert(VERIFY_CHUNK_BYTES / VERIFY_PIECE_BYTES <= MIRROR_SUMS_PIECES_MAX, 'A chunk must be one request');
