// Bounds that the code in backends/faults/ enforces. The names of the constants include the units. A check in src/limits.ts asserts that
// these bounds are consistent with those of other folders.

const MIB = 1024 * 1024;

export const TEST_PAUSE_POLL_MS = 20;
/**
 * Maximum number of unsynced bytes that a volume with the key test-lose-unsynced may have. A volume with this many unsynced bytes performs
 * a sync before it accepts the next write, like a kernel that has too many dirty pages.
 */
export const UNSYNCED_MAX_BYTES = 64 * MIB;
