// Bounds of rsiod's attachments/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** How long `rsconfig -a` and `rsconfig -d` wait for the server, and how long the client waits for a list that it has requested. */
export const ATTACH_WAIT_MS = 10_000;
export const DETACH_WAIT_MS = 10_000;
/** Time for flushing and closing all volumes when the daemon stops. */
export const STOP_WAIT_MS = 10_000;
/** Additional time for each volume, because its devices must be removed. The total has a maximum because systemd waits for 60 s. */
export const STOP_VOLUME_MS = 50;
/**
 * RESTORE_POLL_MS: interval at which rsiod checks whether a volume that was attached before rsiod started is offered. RESTORE_RETRY_MS:
 * wait after a failed attempt.
 */
export const RESTORE_POLL_MS = 1_000;
export const RESTORE_RETRY_MS = 5_000;
/**
 * Maximum number of volumes detached by the administrator that rsiod remembers across a restart. Beyond it, the oldest entries are removed.
 */
export const DETACHED_KEPT_MAX = 16_384;

/**
 * A replay log with data older than LOG_FLUSH_AGE_MS is flushed; LOG_LOOK_MS is the interval of the checks. The sum of both is less than
 * SELF_SYNC_MS, so that the server has nothing to sync by itself.
 */
export const LOG_FLUSH_AGE_MS = 4_000;
export const LOG_LOOK_MS = 500;
/** Maximum number of idle slabs that all replay logs of a client keep together for reuse. */
export const REPLAY_SLABS_POOLED_MAX = 128;

/** Time for I/O in flight and the last flush before rsiod restarts and its devices stay. Remaining requests are resent afterwards. */
export const HAND_OVER_WAIT_MS = 3_000;
