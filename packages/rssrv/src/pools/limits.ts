// Bounds of rssrv's pools/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Maximum number of volumes in all pools of a server together. Sections [volume] do not count. */
export const POOL_VOLUMES_MAX = 10_000;
/** Maximum number of pool volumes that one client has created. Removed volumes count in both bounds. */
export const POOL_VOLUMES_PER_CLIENT_MAX = 2_500;
/** Maximum number of removed volumes that one request deletes for good. */
export const PURGED_AT_ONCE_MAX = 256;
/** Time for which a removed volume can be restored. */
export const REMOVED_KEPT_MS = 24 * 60 * 60 * 1_000;
/** Longest wait for the free space of a pool's file system. */
export const SPACE_WAIT_MS = 1_000;
/** Longest time for a change of a pool's files. The allocation of a thick volume may take longer. */
export const POOL_CHANGE_MS = 30_000;
/** Additional time for each snapshot when a removed volume is deleted for good. */
export const PURGE_SNAPSHOT_MS = 1_000;
/** The server stops waiting for a pool that makes no progress for this time while it is opened or read. */
export const POOL_SILENT_MS = 30_000;
/** Delay after which the remembered volumes of the pools are saved, so that many changes are saved together. */
export const POOL_MEMORY_SAVE_MS = 1_000;
/** Usage in percent of a pool's file system at which the server warns, the highest first. */
export const FULL_PERCENTS = [95, 90, 80] as const;
/** A warning ends when the usage falls below its percentage by this much. */
export const FULL_LESS_PERCENT = 2;
/** Waiting writes continue when the reserve plus 1/RESERVE_ROOM_PART of the file system (at most RESERVE_ROOM_MAX_BYTES) is free. */
export const RESERVE_ROOM_PART = 100;
export const RESERVE_ROOM_MAX_BYTES = 1024 ** 3;
/** A pool with less than this above its reserve is measured often, because a fast disk writes this much between rare measurements. */
export const SPACE_NEAR_BYTES = 16 * 1024 ** 3;
