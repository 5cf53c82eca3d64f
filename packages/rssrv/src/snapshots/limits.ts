// Bounds of rssrv's snapshots/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Time within which a step of a change of snapshots should end. A very fragmented file takes longest to clone and to delete. */
export const SNAPSHOT_CHANGE_MS = 120_000;
