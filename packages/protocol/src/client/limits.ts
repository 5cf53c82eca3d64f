// Bounds of a trunk: reconnecting, recovery, and copies of requests. Units are in the names. Relations between these bounds are asserted at
// the end of this file; relations to bounds of other folders are asserted in src/limits.ts.

import { assert } from '@rsio/common/lib/assert';
import { SLOTS } from '../wire/limits.ts';

/**
 * If more than SLOTS_QUARANTINE_MAX slots are quarantined, the client closes the suspect path that holds most of them, without waiting
 * until that path is dead (S6).
 */
export const SLOTS_QUARANTINE_MAX = SLOTS / 4;
/**
 * One volume may hold at most VOLUME_SLOT_SHARE of the unreserved slots that the other volumes leave free. The same limit applies to the
 * bytes of the window. Two volumes that hang therefore leave about 2 MiB of the window; a third can take the rest.
 */
export const VOLUME_SLOT_SHARE = 0.75;
/** Maximum number of handles that are being revoked at the same time. If one more handle must be revoked, the client leaves the session. */
export const REVOKES_MAX = 64;

/**
 * One of every RATE_PROBE_SHARE requests is also copied to an unused path, to measure the rate of that path. RATE_PROBE_SHARE is a prime
 * number: if an application repeats a pattern of requests, the copied request is then not always the same one in the pattern.
 */
export const RATE_PROBE_SHARE = 31;
export const HEDGE_LOOK_MS = 10;
/** Maximum number of slots with a late READ that was copied to a second path; lower if the server grants fewer slots. */
export const HEDGES_MAX = SLOTS / 16;

/**
 * If a server has sent data within the last HEARD_HEARTBEATS heartbeat intervals, it counts as present. The client then rejects any other
 * process that claims to be that server.
 */
export const HEARD_HEARTBEATS = 2;
/** If a path finds that another path is performing the first handshake of the trunk, it waits for JOIN_RETRY_MS and then tries again. */
export const JOIN_RETRY_MS = 100;
/** A path that was up for at least PATH_SETTLED_MS counts as working: after a failure, it reconnects within RECONNECT_FIRST_MS. */
export const PATH_SETTLED_MS = 500;
export const RECONNECT_FIRST_MS = 20;
export const RECONNECT_MIN_MS = 100;
export const RECONNECT_MAX_MS = 5_000;
/**
 * Growth factor of the wait before a reconnect. With a factor of 1.5, the delay until the client notices the end of an outage is at most
 * about half the length of the outage.
 */
export const RECONNECT_GROWTH = 1.5;
/**
 * Growth factor of the wait before a reconnect while no server answers at all. RECONNECT_AWAY_GROWTH is small, because such an attempt
 * costs next to nothing, and the client should quickly find a server that returns.
 */
export const RECONNECT_AWAY_GROWTH = 1.05;
/**
 * Time that the client waits after a server has refused its proof (E_AUTH). Each further refusal doubles this wait, up to
 * WRONG_KEY_RETRY_MAX_MS. If the configuration changes, the client connects again at once.
 */
export const WRONG_KEY_RETRY_MIN_MS = 5_000;
export const WRONG_KEY_RETRY_MAX_MS = 30_000;
/** If the server refuses to open a volume that had been open before, the client waits for REOPEN_RETRY_MS and then retries OPEN. */
export const REOPEN_RETRY_MS = 1_000;
/**
 * If a volume has become read-only, has become shared or has a different block size, the client waits for UNFIT_RETRY_MS and then opens the
 * volume again. UNFIT_RETRY_MS is long, because each attempt uses up a handle number.
 */
export const UNFIT_RETRY_MS = 5_000;
/**
 * If a session has used up its handle numbers, and at most HANDLES_FEW handles are open, the client starts a new session. It does so at
 * most once in SESSION_RENEW_MS.
 */
export const HANDLES_FEW = 512;
export const SESSION_RENEW_MS = 5_000;
/**
 * Maximum number of attempts to CLOSE a detached volume in one session. An attempt fails if the server refuses CLOSE or answers STALE.
 * After STALE, the client opens the volume once more and sends CLOSE for the new handle. After the last attempt, the client reports that
 * the hold remains.
 */
export const CLOSE_TRIES_MAX = 10;
export const PROBATION_DEATHS = 3;
export const PROBATION_WINDOW_MS = 60_000;
export const PROBATION_MS = 30_000;

/** A client that received E_DRAINING connects again within DRAINING_RETRY_MS. */
export const DRAINING_RETRY_MS = 1_000;

export const LATE_LOOK_MS = 100;

assert(RECONNECT_FIRST_MS < RECONNECT_MIN_MS && RECONNECT_MIN_MS < PATH_SETTLED_MS, 'First tries are short ones');
assert(RECONNECT_MIN_MS < RECONNECT_MAX_MS, 'Back-off must grow');
