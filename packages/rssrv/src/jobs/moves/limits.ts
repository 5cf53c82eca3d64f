// Bounds for moves of volumes between pools: what is copied at a time, how often, and for how long clients wait. Units are in the names.
// jobs/limits.ts bounds the number of jobs.

/** Size of the pieces of a copy. Between two pieces, a move can be paced, cancelled and stopped. */
export const COPY_PIECE_BYTES = 1024 * 1024;
/** How many bytes are copied before the copy is synced and the position saved. A restart repeats at most this much. */
export const SAVE_EVERY_BYTES = 256 * 1024 * 1024;
/** Extents that are read at a time. */
export const EXTENTS_AT_ONCE = 4_096;
/** Maximum number of chunks and bytes of a stripe that are compared at a time. The results are then sorted into the order of the volume. */
export const STRIPE_CHUNKS_AT_ONCE = 1_024;
export const STRIPE_COMPARED_BYTES = 256 * 1024 * 1024;
/** A round that copied no more than this is the last one before the switch. */
export const LITTLE_BYTES = 8 * 1024 * 1024;
/** Maximum number of rounds of a move. If they do not suffice, clients write faster than the server copies. */
export const ROUNDS_MAX = 50;
/** Maximum number of snapshots that a move copies to the new pool, including snapshots that are made during the move. */
export const CARRIED_MAX = 2_000;
/** A round that copies more than this share of the bytes of the previous round counts as no progress. */
export const SHRINK_SHARE = 0.7;
/** Most bytes that are copied while the clients wait. */
export const SWITCH_COPY_MAX_BYTES = 128 * 1024 * 1024;
/** Most ranges that are copied while the clients wait. */
export const SWITCH_RANGES_MAX = 65_536;
/** The last copy, for which the clients wait, may have as many bytes as earlier rounds copied in this time. */
export const SWITCH_COPY_MS = 1_000;
/** Time within which the server processes must have closed the old file. */
export const SWITCH_CLOSE_MS = 10_000;
/** Time that the switch of pools may take on disk. */
export const SWITCH_DISK_MS = 30_000;
/** Time that making a clone, or allocating a thick copy, may take. */
export const MOVE_STEP_MS = 600_000;
