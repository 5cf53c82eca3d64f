// Bounds of requests and slots. Units are in the names.
// src/limits.ts asserts their relations to bounds of other folders.

const KIB = 1024;

export const SEGMENT_MIN_BYTES = 128 * KIB;
