// Bounds of a trunk: reconnecting, recovery, and copies of requests. Units are in the names. Invariant: the relations asserted below.
// src/limits.ts asserts that they agree with the bounds of other folders.

import { assert } from '@rsio/common/lib/assert';
import { SLOTS } from '../wire/limits.ts';

/** When this many slots are quarantined, the suspect path with most of them is closed at once (S6). */
export const SLOTS_QUARANTINE_MAX = SLOTS / 4;
/**
 * Largest share of the free unreserved slots, and of the free window, that one volume may hold. However many volumes hang, some slots
 * remain for the next one.
 */
export const VOLUME_SLOT_SHARE = 0.75;
/** Maximum number of handles that are being revoked at the same time. If one more must be revoked, the client leaves the session. */
export const REVOKES_MAX = 64;

/**
 * One in this many requests is also copied to an unused path to measure its rate. The number is prime, so that an application with a fixed
 * access pattern does not always have the same request copied.
 */
export const RATE_PROBE_SHARE = 31;
export const HEDGE_LOOK_MS = 10;
/** Maximum number of late READs copied to a second path at a time. It is lower for a server that grants fewer slots. */
export const HEDGES_MAX = SLOTS / 16;

/** A server counts as present if it was heard within this many heartbeats. Another process that answers under its name is then rejected. */
export const HEARD_HEARTBEATS = 2;
/** A path that only waited for the first handshake of its trunk tries again after this time. */
export const JOIN_RETRY_MS = 100;
/** A path that was up for this long is considered working: after a failure it reconnects within RECONNECT_FIRST_MS. */
export const PATH_SETTLED_MS = 500;
export const RECONNECT_FIRST_MS = 20;
export const RECONNECT_MIN_MS = 100;
export const RECONNECT_MAX_MS = 5_000;
/** Factor by which each wait exceeds the previous one. The end of an outage may be noticed late by about the same proportion. */
export const RECONNECT_GROWTH = 1.5;
/**
 * Growth factor of the wait while no server answers at all. An attempt then costs next to nothing, and the client should find a returning
 * server quickly.
 */
export const RECONNECT_AWAY_GROWTH = 1.05;
/** Wait after a proof was refused (E_AUTH). It doubles up to the maximum. After a change of the configuration, the client tries at once. */
export const WRONG_KEY_RETRY_MIN_MS = 5_000;
export const WRONG_KEY_RETRY_MAX_MS = 30_000;
/** Wait before the retry of an OPEN that the server refused after the volume had been open. */
export const REOPEN_RETRY_MS = 1_000;
/**
 * Wait before the client opens a volume again that has come back read-only, shared or with a different block size. Each attempt uses one
 * handle number.
 */
export const UNFIT_RETRY_MS = 5_000;
/**
 * A session whose handle numbers are used up is replaced by a new one if at most HANDLES_FEW handles are open, at most once in
 * SESSION_RENEW_MS.
 */
export const HANDLES_FEW = 512;
export const SESSION_RENEW_MS = 5_000;
/**
 * Maximum number of attempts to CLOSE a detached volume in one session. An attempt fails if the server answers STALE (the client then
 * repeats it with a new handle) or refuses. After the last attempt the hold remains, and the client reports that.
 */
export const CLOSE_TRIES_MAX = 10;
export const PROBATION_DEATHS = 3;
export const PROBATION_WINDOW_MS = 60_000;
export const PROBATION_MS = 30_000;

/** A client that received E_DRAINING connects again within this time. */
export const DRAINING_RETRY_MS = 1_000;

export const LATE_LOOK_MS = 100;

assert(RECONNECT_FIRST_MS < RECONNECT_MIN_MS && RECONNECT_MIN_MS < PATH_SETTLED_MS, 'First tries are short ones');
assert(RECONNECT_MIN_MS < RECONNECT_MAX_MS, 'Back-off must grow');
