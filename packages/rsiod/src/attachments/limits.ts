// Bounds of rsiod's attachments/ folder. Units are in the names. The file
// src/limits.ts asserts that the bounds of all folders agree.

/** How long the client waits for the server: ATTACH_WAIT_MS during an attach, and DETACH_WAIT_MS during each step of a detach. */
export const ATTACH_WAIT_MS = 10_000;
export const DETACH_WAIT_MS = 10_000;
/** How long the end of an order waits for the end of the connections that it has cut off, and how often it looks. */
export const USERS_END_MS = 2_000;
export const USERS_LOOK_MS = 20;
/** Maximum number of servers that one attach request tries if the pool of the volume moves during the attach. */
export const MOVED_TRIES_MAX = 3;
/** Base time for flushing and closing all volumes when the daemon stops; STOP_VOLUME_MS is added for each volume. */
export const STOP_WAIT_MS = 10_000;
/**
 * Additional time for each volume when the daemon stops, because the volume's devices must be removed. The total time is at most
 * STOP_WAIT_MAX_MS, because systemd waits only 60 s for rsiod to stop.
 */
export const STOP_VOLUME_MS = 50;
/**
 * RESTORE_POLL_MS is the interval between checks whether servers offer the awaited volumes. RESTORE_RETRY_MS is the wait after a failed
 * attempt to reattach a volume.
 */
export const RESTORE_POLL_MS = 1_000;
/**
 * Maximum number of volumes that all processes of a client together reattach at a time, after their start and again after each new session.
 * With one write, the server makes the holds of all waiting OPENs durable, so that more OPENs at a time need fewer writes. The number may
 * be larger than VOLUMES_AT_ONCE, because the keeper has the devices of most of these volumes, so that no programs are run for them.
 */
export const RESTORED_AT_ONCE = 64;
/**
 * Until START_REACH_MS after the daemon's start, a detach of an awaited volume waits until the volume's server is connected. REACH_LOOK_MS
 * is the interval at which the detach checks the connection.
 */
export const START_REACH_MS = 10_000;
export const REACH_LOOK_MS = 100;
export const RESTORE_RETRY_MS = 5_000;
/**
 * Maximum number of detached volumes that rsiod remembers across a restart. If more volumes have been detached, rsiod forgets the oldest
 * ones.
 */
export const DETACHED_KEPT_MAX = 16_384;
/** Maximum number of volumes of which rsiod remembers the server. The one attached least recently is forgotten. */
export const ORIGINS_KEPT_MAX = 16_384;
/** Maximum number of addresses that rsiod remembers of the server of a volume. */
export const ORIGIN_ADDRESSES_MAX = 8;

/** How long a forced detach of a mirror, or a stop of the daemon, waits until the voters have recorded the detach. */
export const MIRROR_FORCED_WAIT_MS = 3_000;

/**
 * If a replay log contains data that is older than LOG_FLUSH_AGE_MS, rsiod flushes that log. rsiod checks the age of the data every
 * LOG_LOOK_MS. The sum of LOG_FLUSH_AGE_MS and LOG_LOOK_MS is less than SELF_SYNC_MS, so that the client flushes before the server syncs
 * without a request.
 */
export const LOG_FLUSH_AGE_MS = 4_000;
export const LOG_LOOK_MS = 500;
/** Maximum number of unused memory slabs that a client keeps for reuse by its replay logs. */
export const REPLAY_SLABS_POOLED_MAX = 128;

/**
 * Maximum wait for I/O in flight and for the last flush before a restart that keeps the devices. Requests that do not complete in time are
 * executed again by the next process.
 */
export const HAND_OVER_WAIT_MS = 3_000;
/** Time limit for a server's answer about the snapshots of its replica. */
export const SNAPSHOT_SHOW_MS = 5_000;
