// Bounds of rssrv's pools/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Volumes in all pools of a server together. Sections [volume] count separately. */
export const POOL_VOLUMES_MAX = 10_000;
/** Those that one client has created. Removed volumes count in both bounds. */
export const POOL_VOLUMES_PER_CLIENT_MAX = 2_500;
/** Removed volumes that one request deletes for good. */
export const PURGED_AT_ONCE_MAX = 256;
/** Time for which a removed volume can be restored. */
export const REMOVED_KEPT_MS = 24 * 60 * 60 * 1_000;
/** Time within which the file system of a pool should tell its free space. */
export const SPACE_WAIT_MS = 1_000;
/** Time within which a change of a pool's files should end. Allocating a thick volume may take longer. */
export const POOL_CHANGE_MS = 30_000;
/** Additional time for each snapshot of a removed volume that is deleted for good. */
export const PURGE_SNAPSHOT_MS = 1_000;
/** A pool that makes no progress for this time while it is opened or read is not waited for. */
export const POOL_SILENT_MS = 30_000;
/** Delay after which the remembered volumes of the pools are saved, so that many changes are saved together. */
export const POOL_MEMORY_SAVE_MS = 1_000;
/** Percentages of a pool's file system from which on the server warns, the highest first. */
export const FULL_PERCENTS = [95, 90, 80] as const;
/** A warning ends when this much less is used than when it began. */
export const FULL_LESS_PERCENT = 2;
/** Waiting writes continue when more than the reserve is free: by 1/RESERVE_ROOM_PART of the file system, at most RESERVE_ROOM_MAX_BYTES. */
export const RESERVE_ROOM_PART = 100;
export const RESERVE_ROOM_MAX_BYTES = 1024 ** 3;
/** With less than this above its reserve, a pool is measured often, because a fast disk writes this much between two rare measurements. */
export const SPACE_NEAR_BYTES = 16 * 1024 ** 3;
