// Bounds of copying between replicas: pieces, buffers, times. Units are in the names. plans/limits.ts has the bounds of the plans.
// The assertions below check relations between the bounds.

import { assert } from '@rsio/common/lib/assert';
import { BODY_MAX_BYTES } from '@rsio/common/lib/limits';
import { MIRROR_REGION_BYTES } from '../../wire/limits.ts';

const KIB = 1024;

// --- pieces
/** Longest piece that is copied at a time. While it is copied, changes of its range wait. */
export const PIECE_MAX_BYTES = 1024 * KIB;
/** Longest piece while users' I/O is under way. */
export const PIECE_BUSY_BYTES = 256 * KIB;
/** Piece length of a mirror that gets no larger buffer because other mirrors use them all. Such a mirror copies one piece at a time. */
export const PIECE_SMALL_BYTES = 64 * KIB;
/** Pieces of one mirror under way at a time, all replicas together. */
export const PIECES_MAX = 8;
/** Pieces of one mirror while users' I/O is under way. Not 0, so that users never starve a copy. */
export const PIECES_BUSY_MAX = 2;
/** Pieces for regions that users' READs wait for, in addition to PIECES_MAX. The rate does not delay these pieces. */
export const PIECES_URGENT_MAX = 4;
/** Bytes of the buffers of all mirrors of the process, apart from one small buffer for each mirror. */
export const BUFFERS_MAX_BYTES = 48 * PIECE_MAX_BYTES;
/** Bytes of idle buffers that are kept for reuse. */
export const BUFFERS_KEPT_BYTES = 16 * PIECE_MAX_BYTES;

// --- times
/** Users' I/O counts as under way until this time has passed since the copier last saw a request in flight. */
export const USERS_RECENT_MS = 50;
/** With a fixed rate, the copier sends at once at most the bytes that the rate allows in this time. */
export const RATE_BURST_MS = 100;
/** With a fixed rate, a piece is at most as long as the rate allows in this time. */
export const RATE_PIECE_MS = 1_000;
/** Time until an attempt that failed is repeated, unless a replica comes back earlier. */
export const COPY_RETRY_MS = 1_000;
/** Longest time until a retry of a region that no replica in sync can read, and the most such regions that the copier remembers. */
export const COPY_RETRY_MAX_MS = 30_000;
export const UNREADABLE_MAX = 64;
/** A region without a change for this time is idle. The copier notices after at most twice this time. */
export const CLEAR_IDLE_MS = 5_000;
/** A clearing gives up if changes that are under way in its regions do not end within this time. */
export const CLEAR_LOCK_MS = 1_000;
/** Time over which the rate of a resync is measured, and the number of samples in that time. */
export const PROGRESS_WINDOW_MS = 10_000;
export const PROGRESS_SAMPLES = 10;

assert(PIECE_MAX_BYTES <= BODY_MAX_BYTES, 'A piece must fit into one request');
assert(MIRROR_REGION_BYTES % PIECE_MAX_BYTES === 0 && PIECE_MAX_BYTES % PIECE_SMALL_BYTES === 0, 'Pieces must fit into regions');
assert(PIECES_BUSY_MAX > 0 && PIECES_BUSY_MAX < PIECES_MAX, 'Copies yield to users and are never stopped by them');
