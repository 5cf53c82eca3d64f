// Bounds of a trunk: reconnecting, recovery, and copies of requests. Units are in the names. Relations between these bounds are asserted at
// the end of this file, and relations to other folders in src/limits.ts.

import { assert } from '@rsio/common/lib/assert';
import { ADMIN_PER_SESSION_MAX, SLOTS, SLOTS_RESERVED } from '../wire/limits.ts';

/**
 * Maximum number of quarantined slots. If more slots are quarantined, the client closes the suspect path that holds the largest number of
 * them (S6).
 */
export const SLOTS_QUARANTINE_MAX = SLOTS / 4;
/**
 * Maximum share of one volume in the unreserved slots that the other volumes leave free. The same share applies to the bytes of the window.
 * Two hanging volumes therefore leave about 2 MiB of the window, which a third volume can take.
 */
export const VOLUME_SLOT_SHARE = 0.75;
/** Maximum number of handles that are being revoked at the same time. If one more handle must be revoked, the client leaves the session. */
export const REVOKES_MAX = 64;

/**
 * One of every RATE_PROBE_SHARE requests is also copied to an unused path, to measure the rate of that path. RATE_PROBE_SHARE is prime, so
 * that the copies do not keep step with a repeating pattern of requests.
 */
export const RATE_PROBE_SHARE = 31;
export const HEDGE_LOOK_MS = 10;
/** Maximum number of late READs that are copied to a second path at a time; lower if the server grants fewer slots. */
export const HEDGES_MAX = SLOTS / 16;

/**
 * A server counts as present if it has sent data within the last HEARD_HEARTBEATS heartbeat intervals. While a server is present, the
 * client rejects any other process that claims to be that server.
 */
export const HEARD_HEARTBEATS = 2;
/** While another path performs the first handshake of the trunk, a path tries again every JOIN_RETRY_MS. */
export const JOIN_RETRY_MS = 100;
/** If a path was up for at least PATH_SETTLED_MS, it reconnects within RECONNECT_FIRST_MS after a failure. */
export const PATH_SETTLED_MS = 500;
export const RECONNECT_FIRST_MS = 20;
export const RECONNECT_MIN_MS = 100;
export const RECONNECT_MAX_MS = 5_000;
/**
 * Growth factor of the wait before a reconnect. With a factor of 1.5, the client notices the end of an outage after at most about half the
 * length of the outage.
 */
export const RECONNECT_GROWTH = 1.5;
/**
 * Growth factor of the wait before a reconnect while no server answers at all. RECONNECT_AWAY_GROWTH is small, because such attempts are
 * cheap, and the client should quickly find a server that returns.
 */
export const RECONNECT_AWAY_GROWTH = 1.05;
/**
 * Time that the client waits after a server has refused its proof (E_AUTH). Each further refusal doubles this wait, up to
 * WRONG_KEY_RETRY_MAX_MS. If the configuration changes, the client connects again at once.
 */
export const WRONG_KEY_RETRY_MIN_MS = 5_000;
export const WRONG_KEY_RETRY_MAX_MS = 30_000;
/** If the server refuses to reopen a volume, the client retries OPEN after REOPEN_RETRY_MS. */
export const REOPEN_RETRY_MS = 1_000;
/**
 * If a volume has become read-only or shared, or its block size has changed, the client opens the volume again after UNFIT_RETRY_MS.
 * UNFIT_RETRY_MS is long, because each attempt uses up a handle number.
 */
export const UNFIT_RETRY_MS = 5_000;
/**
 * If a session has used up its handle numbers, and at most HANDLES_FEW handles are open, the client starts a new session. The client renews
 * the session at most once in SESSION_RENEW_MS.
 */
export const HANDLES_FEW = 512;
export const SESSION_RENEW_MS = 5_000;
/**
 * Maximum number of attempts to CLOSE a detached volume in one session. An attempt fails if the server refuses CLOSE or answers STALE.
 * After the last attempt, the client reports that the hold remains.
 */
export const CLOSE_TRIES_MAX = 10;
export const PROBATION_DEATHS = 3;
export const PROBATION_WINDOW_MS = 60_000;
export const PROBATION_MS = 30_000;

/** A client that received E_DRAINING connects again within DRAINING_RETRY_MS. */
export const DRAINING_RETRY_MS = 1_000;

export const LATE_LOOK_MS = 100;

/** Most ADMIN calls that wait on the client, for each server. Further calls are refused. */
export const ADMIN_CALLS_MAX = 256;
/** Most ADMIN calls in flight. ADMIN occupies reserved slots, which LIST, OPEN and CLOSE need, too. */
export const ADMIN_CALLS_SENT_MAX = 4;
/** An ADMIN call fails if the server is not connected after this time. */
export const ADMIN_UNSENT_MS = 10_000;
/** Most times that the client requests a long answer again because the server has dropped it. */
export const ADMIN_REREADS_MAX = 3;
/** Longest error text of a server. Longer texts are cut off. */
export const ADMIN_MESSAGE_MAX_CHARS = 4_000;

assert(RECONNECT_FIRST_MS < RECONNECT_MIN_MS && RECONNECT_MIN_MS < PATH_SETTLED_MS, 'First tries are short ones');
assert(ADMIN_CALLS_SENT_MAX < SLOTS_RESERVED && ADMIN_CALLS_SENT_MAX < ADMIN_PER_SESSION_MAX, 'Calls leave reserved slots free');
assert(RECONNECT_MIN_MS < RECONNECT_MAX_MS, 'Back-off must grow');
