// Bounds that the code in backends/faults/ enforces. The names of the constants include the units. A check in src/limits.ts asserts that
// these bounds are consistent with those of other folders.

const MIB = 1024 * 1024;

export const TEST_PAUSE_POLL_MS = 20;
/**
 * Limit for the unsynced bytes of a volume with the key test-lose-unsynced. Once this limit is reached, the volume is synced before the
 * next write is accepted. The kernel does the same when it has too many dirty pages.
 */
export const UNSYNCED_MAX_BYTES = 64 * MIB;
