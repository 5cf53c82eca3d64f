// Bounds of the IOCTLs of a server process.
// Bounds of the wire are in packages/protocol/src/wire/limits.ts.

/** Most requests for sums (MIRROR_SUMS) that a handle has under way. Each has a buffer of one piece, and further ones are refused. */
export const SUMS_PER_HANDLE_MAX = 4;
