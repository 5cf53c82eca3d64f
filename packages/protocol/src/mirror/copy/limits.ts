// Bounds of copying between replicas: pieces, buffers, times. Units are in the names. plans/limits.ts has the bounds of the plans.
// The assertions below check relations between the bounds.

import { assert } from '@rsio/common/lib/assert';
import { BODY_MAX_BYTES } from '@rsio/common/lib/limits';
import { MIRROR_REGION_BYTES } from '../../wire/limits.ts';

const KIB = 1024;

// --- pieces
/** Longest piece that is copied at a time. While it is copied, changes of its range wait. */
export const PIECE_MAX_BYTES = 1024 * KIB;
/** The same while users' I/O is under way. */
export const PIECE_BUSY_BYTES = 256 * KIB;
/** Length of the pieces of a mirror that gets no longer buffer, because other mirrors have them. It may have one such piece. */
export const PIECE_SMALL_BYTES = 64 * KIB;
/** Pieces of one mirror under way at a time, all replicas together. */
export const PIECES_MAX = 8;
/** The same while users' I/O is under way. It is not 0, so that users never starve a copy. */
export const PIECES_BUSY_MAX = 2;
/** Pieces for regions that users' READs wait for. They do not wait for the pieces above or for the rate. */
export const PIECES_URGENT_MAX = 4;
/** Bytes of the buffers of all mirrors of the process, apart from one small buffer for each mirror. */
export const BUFFERS_MAX_BYTES = 48 * PIECE_MAX_BYTES;
/** Bytes of idle buffers that are kept for reuse. */
export const BUFFERS_KEPT_BYTES = 16 * PIECE_MAX_BYTES;

// --- times
/** Users' I/O counts as under way for this time after it was seen. */
export const USERS_RECENT_MS = 50;
/** With a rate that is given, at most what flows in this time is copied at once. */
export const RATE_BURST_MS = 100;
/** With a rate that is given, a piece takes at most this time. */
export const RATE_PIECE_MS = 1_000;
/** Time until an attempt that failed is repeated, unless a replica comes back earlier. */
export const COPY_RETRY_MS = 1_000;
/** The longest such time, if no replica in sync can read what is left, and the number of regions that are remembered so. */
export const COPY_RETRY_MAX_MS = 30_000;
export const UNREADABLE_MAX = 64;
/** A region is idle if nothing was changed in it for this time. It is noticed after at most twice this time. */
export const CLEAR_IDLE_MS = 5_000;
/** A clearing gives up if changes that are under way in its regions do not end within this time. */
export const CLEAR_LOCK_MS = 1_000;
/** Time over which the rate of a resync is measured, and how many times it is looked at within it. */
export const PROGRESS_WINDOW_MS = 10_000;
export const PROGRESS_SAMPLES = 10;

assert(PIECE_MAX_BYTES <= BODY_MAX_BYTES, 'A piece must fit into one request');
assert(MIRROR_REGION_BYTES % PIECE_MAX_BYTES === 0 && PIECE_MAX_BYTES % PIECE_SMALL_BYTES === 0, 'Pieces must fit into regions');
assert(PIECES_BUSY_MAX > 0 && PIECES_BUSY_MAX < PIECES_MAX, 'Copies yield to users and are never stopped by them');
