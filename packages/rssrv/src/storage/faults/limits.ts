// Bounds of rssrv's storage/faults/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

const MIB = 1024 * 1024;

export const TEST_PAUSE_POLL_MS = 20;
/**
 * Limit for the unsynced bytes of a volume with the key test-lose-unsynced. When the unsynced bytes reach this limit, the volume is synced
 * before the next write to the volume is accepted.
 */
export const UNSYNCED_MAX_BYTES = 64 * MIB;
