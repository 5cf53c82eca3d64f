// Bounds of rssrv's pools/spare folder: the space that a pool keeps for changes that free space. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Changes on a full file system, such as removals, before one of them has freed space. */
export const SPARE_FILES = 8;
/** A manifest with up to some hundred names of clients fits. */
export const SPARE_BYTES = 64 * 1024;
/** Spare files are made while at least this is free, so that they never take the last space. */
export const SPARE_ROOM_BYTES = 4 * 1024 * 1024;
