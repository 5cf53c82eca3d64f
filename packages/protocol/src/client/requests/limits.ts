// Bounds of requests and slots. Units are in the names.
// Relations to bounds of other folders are asserted in src/limits.ts.

const KIB = 1024;

export const SEGMENT_MIN_BYTES = 128 * KIB;
