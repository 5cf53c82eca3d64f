// Bounds of backends/faults/ in rssrv: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

const MIB = 1024 * 1024;

export const TEST_PAUSE_POLL_MS = 20;
/** Of unsynced writes that a volume with test-lose-unsynced keeps: from here on it syncs by itself, as a kernel writes back. */
export const UNSYNCED_MAX_BYTES = 64 * MIB;
