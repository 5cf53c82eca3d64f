// Bounds of the archive for support. The name of each bound contains its unit.
// Invariant: a daemon that hangs delays the archive by the time limits of its parts, and no size of a log or table fills a disk.

const KIB = 1024;
const MIB = 1024 * KIB;

/** Time limit for one part, and for those that ask all servers or measure paths. */
export const SUPPORT_PART_MS = 15_000;
export const SUPPORT_SLOW_PART_MS = 120_000;
/** Longest part, and all parts together. What is longer is cut off, and the archive says so. */
export const SUPPORT_PART_MAX_BYTES = 8 * MIB;
export const SUPPORT_TOTAL_MAX_BYTES = 64 * MIB;
export const SUPPORT_PARTS_AT_ONCE = 4;
/** Lines of each log, and bytes of them. */
export const SUPPORT_LOG_LINES = 5_000;
export const SUPPORT_LOG_MAX_BYTES = 4 * MIB;
/** Longest output of a program of the machine. */
export const SUPPORT_OUTPUT_MAX_BYTES = MIB;
/** Volumes whose snapshots or notes are in the archive. */
export const SUPPORT_VOLUMES_MAX = 500;
/** Time limit for tar. */
export const SUPPORT_TAR_MS = 120_000;
