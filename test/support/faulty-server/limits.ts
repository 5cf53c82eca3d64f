// Bounds of the server for tests. Units are in the names.
// Invariant: they bound what a test may leave in memory.

const MIB = 1024 * 1024;

export const TEST_PAUSE_POLL_MS = 20;
/**
 * Limit for the unsynced bytes of a volume with `losesUnsynced`. When the unsynced bytes reach this limit, the volume is synced
 * before the next write to the volume is accepted.
 */
export const UNSYNCED_MAX_BYTES = 64 * MIB;
