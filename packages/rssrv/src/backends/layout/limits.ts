// Bounds of rssrv's backends/layout folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Chunks that one extents query of a striped volume looks at. The answer may cover less than the request. */
export const EXTENT_CHUNKS_MAX = 65_536;
/** Files of one volume that are synced at a time. */
export const SYNCS_AT_A_TIME = 2;
