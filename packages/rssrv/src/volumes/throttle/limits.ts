// Bounds of rssrv's volumes/throttle/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Interval at which a session reports its use of limits that it shares with other sessions. */
export const SHARE_REPORT_MS = 50;
/** Sessions on a volume that report at this interval. With more sessions, the interval grows, to bound the load of the listener. */
export const SHARE_REPORTERS = 16;
/** Time from a confirmation until the listener gives freed shares to other sessions, so that it handles many confirmations together. */
export const SHARE_PLAN_MS = 10;
/** A session that has not confirmed a new share within this time is not running, and counts as idle. */
export const SHARE_CONFIRM_MS = 1_000;
/** Share of a limit that an idle session keeps, so that its first requests do not wait for other processes. */
export const SHARE_IDLE = 1 / 64;
/** Share that all idle sessions together keep. */
export const SHARE_IDLE_TOTAL = 1 / 32;
/** A session gets this multiple of its present use, so that its use can grow. */
export const SHARE_HEADROOM = 1.25;
/** A share changes only if the difference is at least this part of an even share. */
export const SHARE_STEP = 1 / 64;
/** Shortest wait of a held request, because timers have this resolution. */
export const HELD_WAIT_MIN_MS = 1;
/** A client learns what holds its I/O after this number of successive reports. */
export const HELD_REPORTS = 2;

/** Maximum number of stopped volumes. */
export const STOPPED_MAX = 16_384;
