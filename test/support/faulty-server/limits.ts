// Bounds of the server for tests. Each name contains the unit.
// Invariant: the bounds limit the memory that the data of a test takes.

const MIB = 1024 * 1024;

export const TEST_PAUSE_POLL_MS = 20;
/**
 * Limit for the unsynced bytes of a volume with `losesUnsynced`. When the unsynced bytes reach this limit, the volume is synced
 * before the next write to the volume is accepted.
 */
export const UNSYNCED_MAX_BYTES = 64 * MIB;
