// Bounds for volumes: for their storage, holds, statistics and limits of I/O. Units are in the names. Invariant: each bound is defined
// once, and relations between bounds are asserted here.

import { HANDLES_PER_SESSION_MAX } from '@rsio/protocol/link/limits';

// --- volumes: fences.

/**
 * Longest time for which a kick or a fence waits for the end of a session. Before this time has passed, the listener kills a worker that
 * has not ended. The wait therefore times out only if a worker hangs in its storage and cannot be killed.
 */
export const SESSION_END_WAIT_MS = 30_000;
/** Maximum number of fenced clients. Fenced clients that are no longer configured also count. */
export const FENCES_MAX = 8_192;

// --- volumes/holds

/** After this time without a path, a session no longer blocks an instance on another machine or from a later boot. */
export const SESSION_SILENT_MS = 3_000;
/**
 * Maximum number of machines (NODE_MACHINES_MAX) and of replaced processes (NODE_REPLACED_MAX) recorded for one node. An entry beyond
 * the maximum replaces the oldest entry.
 */
export const NODE_MACHINES_MAX = 16;
export const NODE_REPLACED_MAX = 16;
/**
 * Maximum number of OPENs that wait for a change of one volume's holds. The server refuses further OPENs, and tells their clients to try
 * again.
 */
export const HOLD_CHANGES_WAITING_MAX = 1_024;
/** Maximum number of logged refusals that the listener remembers, so that it does not log a repeated refusal again. */
export const HOLD_REFUSALS_REMEMBERED_MAX = 1_024;
/**
 * Maximum number of times that one OPEN is decided. An OPEN is decided again if the volume has changed while the hold was saved. After
 * the last decision, the server tells the client to try again.
 */
export const OPEN_TRIES_MAX = 8;
/**
 * REVOCATIONS_MAX is the number of orders in progress that take a volume away from a client. Each order waits at most REVOCATION_WAIT_MS for
 * the requests of the client. Before this time has passed, the listener kills a worker that does not close the volume.
 */
export const REVOCATIONS_MAX = 32;
export const REVOCATION_WAIT_MS = 30_000;
/**
 * Maximum number of volumes that a session has closed and that its worker may still name in reports. The listener ends a worker that
 * names any other volume.
 */
export const FORMER_USES_MAX = 4_096;

// --- volumes/statistics

/** Interval at which a worker reports the statistics of its sessions to the listener. */
export const FIGURES_INTERVAL_MS = 2_000;
/** Longest time for which an answer with statistics waits for the reports of the workers. */
export const FIGURES_WAIT_MS = 250;
/** Shortest time over which rates are measured. */
export const RATE_OVER_MS = 1_000;
/** A volume counts as idle if the reports of its session have not mentioned it for longer than this. */
export const RATE_IDLE_MS = 3_000;
/** A request that the storage has not completed within this time is shown as waiting. */
export const SLOW_IO_MS = 5_000;
/** An OPEN that has waited for longer than this is shown as waiting for the holder. */
export const HOLD_WAIT_MS = 1_000;
/** Maximum number of volumes without an open handle whose counters a session keeps. */
export const COUNTERS_CLOSED_MAX = 256;

// --- volumes/throttle

/** Interval at which a session reports its use of limits that it shares with other sessions. */
export const SHARE_REPORT_MS = 50;
/**
 * Up to this number of sessions on a volume report at the interval SHARE_REPORT_MS. With more sessions, the interval grows, to bound
 * the load of the listener.
 */
export const SHARE_REPORTERS = 16;
/**
 * Time from a confirmation until the listener gives freed shares to other sessions. The delay lets the listener handle many confirmations
 * together.
 */
export const SHARE_PLAN_MS = 10;
/** A session that has not confirmed a new share within this time is not running, and counts as idle. */
export const SHARE_CONFIRM_MS = 1_000;
/** Share of a limit that an idle session keeps, so that its first requests do not wait for other processes. */
export const SHARE_IDLE = 1 / 64;
/** Largest share of a limit that all idle sessions keep together. */
export const SHARE_IDLE_TOTAL = 1 / 32;
/** A session gets this multiple of its current use, so that its use can grow. */
export const SHARE_HEADROOM = 1.25;
/** The share of a session changes only if the change is at least this part of an even share. */
export const SHARE_STEP = 1 / 64;
/** Shortest wait of a held request, because timers have this resolution. */
export const HELD_WAIT_MIN_MS = 1;
/** A client is told what holds its I/O only when this number of successive reports say the same. */
export const HELD_REPORTS = 2;

/** Maximum number of stopped volumes. */
export const STOPPED_MAX = 16_384;

// --- statistics: what a session reports.

/**
 * Maximum number of volumes in one report of a session. The report contains the volumes with an open handle, and volumes that were closed
 * since the last report.
 */
export const FIGURES_VOLUMES_MAX = 2 * HANDLES_PER_SESSION_MAX;
/**
 * The maximum number of paths in a report is PATHS_CLOSING_FACTOR times PATHS_PER_TRUNK_MAX, because a report names both closing paths and
 * their replacements.
 */
export const PATHS_CLOSING_FACTOR = 4;
