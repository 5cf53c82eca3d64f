// Bounds of attachments/ in rsiod: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

/** How long rsconfig -a and -d wait for the server, and how long a list may take that was asked for. */
export const ATTACH_WAIT_MS = 10_000;
export const DETACH_WAIT_MS = 10_000;
/** A daemon that ends gives its volumes this long to be flushed and closed. */
export const STOP_WAIT_MS = 10_000;
/** More for each volume, whose devices are taken away, and at most: systemd waits for 60 s. */
export const STOP_VOLUME_MS = 50;
/** How often rsiod looks whether a volume that was attached before its start is offered, and how soon it tries again what failed. */
export const RESTORE_POLL_MS = 1_000;
export const RESTORE_RETRY_MS = 5_000;
/** Volumes of which rsiod remembers over a restart that a person has detached them; past it the oldest are forgotten. */
export const DETACHED_KEPT_MAX = 16_384;

/** A log whose oldest is older is flushed, looked for so often: together less than SELF_SYNC_MS, so that the server has nothing to sync then. */
export const LOG_FLUSH_AGE_MS = 4_000;
export const LOG_LOOK_MS = 500;
/** Idle slabs that all logs of a client keep together for re-use. */
export const REPLAY_SLABS_POOLED_MAX = 128;

/** For I/O under way and the last flush, before rsiod begins anew under its devices: what is left over then is sent again. */
export const HAND_OVER_WAIT_MS = 3_000;
