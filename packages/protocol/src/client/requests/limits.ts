// Bounds of requests and slots: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

const KIB = 1024;

export const SEGMENT_MIN_BYTES = 128 * KIB;
