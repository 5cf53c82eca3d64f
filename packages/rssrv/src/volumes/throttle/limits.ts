// Bounds of rssrv's volumes/throttle/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Interval at which a session reports what it has used of limits that it shares with other sessions. */
export const SHARE_REPORT_MS = 50;
/** Sessions that report at this interval. With more of them on a volume, the interval grows, so that the listener has no more to do. */
export const SHARE_REPORTERS = 16;
/** Time after which what sessions have given up is told to others, so that many confirmations are looked at together. */
export const SHARE_PLAN_MS = 10;
/** A session that has not confirmed a smaller share for this time is not running, and uses nothing. */
export const SHARE_CONFIRM_MS = 1_000;
/** Share of a limit that a session keeps that uses nothing, so that its first requests do not wait for other processes. */
export const SHARE_IDLE = 1 / 64;
/** Share that all such sessions together keep. */
export const SHARE_IDLE_TOTAL = 1 / 32;
/** A session gets this multiple of what it has used, so that it can use more. */
export const SHARE_HEADROOM = 1.25;
/** Part of an even share by which a share changes at least. */
export const SHARE_STEP = 1 / 64;
/** Shortest wait of a held request, because timers are not finer. */
export const HELD_WAIT_MIN_MS = 1;
/** A client is told what holds its I/O when it was held in this number of reports, one after the other. */
export const HELD_REPORTS = 2;

/** Volumes that may be stopped at a time. */
export const STOPPED_MAX = 16_384;
