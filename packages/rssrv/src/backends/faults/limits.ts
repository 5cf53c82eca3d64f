// Bounds of rssrv's backends/faults/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

const MIB = 1024 * 1024;

export const TEST_PAUSE_POLL_MS = 20;
/** Unsynced bytes that a volume with test-lose-unsynced keeps. Above this bound the volume syncs itself, like a kernel that writes back. */
export const UNSYNCED_MAX_BYTES = 64 * MIB;
