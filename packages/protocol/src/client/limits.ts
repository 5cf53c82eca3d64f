// Bounds of a trunk: reconnecting, recovery, what is asked for twice: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

import { assert } from '@rsio/common/lib/assert';
import { SLOTS } from '../wire/limits.ts';

/** Quarantined slots at which the worst suspect path is fenced at once (S6). */
export const SLOTS_QUARANTINE_MAX = SLOTS / 4;
/**
 * Share of the unreserved slots, and of the window, that one volume may hold of what the others leave: however many hang, there is some left
 * for the next.
 */
export const VOLUME_SLOT_SHARE = 0.75;
/** Handles that are being revoked at one time; one more is given up with the session. */
export const REVOKES_MAX = 64;

/** A prime: an application that does the same over and over is not always met at the same request. */
export const RATE_PROBE_SHARE = 31;
export const HEDGE_LOOK_MS = 10;
/** Late READs that are asked for on a second path at a time; fewer of a server that grants fewer slots. */
export const HEDGES_MAX = SLOTS / 16;

/** A server that was heard within this many heartbeats is there: another process that answers in its name is not met meanwhile. */
export const HEARD_HEARTBEATS = 2;
/** A path that only waited for its trunk's first handshake tries again after this. */
export const JOIN_RETRY_MS = 100;
/** A path that was up for this long has shown that it works: when it breaks, it is tried again within RECONNECT_FIRST_MS. */
export const PATH_SETTLED_MS = 500;
export const RECONNECT_FIRST_MS = 20;
export const RECONNECT_MIN_MS = 100;
export const RECONNECT_MAX_MS = 5_000;
/** Each wait is longer than the one before by this factor: so much of an outage may pass once more before its end is seen. */
export const RECONNECT_GROWTH = 1.5;
/** The same while nobody is there to be met: a try costs next to nothing then, and a server that comes back should be seen at once. */
export const RECONNECT_AWAY_GROWTH = 1.05;
/** After a proof that was refused (E_AUTH), the next one: it doubles up to the longest. A changed configuration is tried at once. */
export const WRONG_KEY_RETRY_MIN_MS = 5_000;
export const WRONG_KEY_RETRY_MAX_MS = 30_000;
/** An OPEN that was refused after the volume had been open is tried again after this. */
export const REOPEN_RETRY_MS = 1_000;
/** A volume that came back read-only, shared or in other blocks is asked for anew after this; each time takes a handle number. */
export const UNFIT_RETRY_MS = 5_000;
/** A session whose handles are used up although no more than these are open is left for a new one, which is done once in this time. */
export const HANDLES_FEW = 512;
export const SESSION_RENEW_MS = 5_000;
/** CLOSEs of a detached volume in one session, answered STALE and so said to a new handle, or refused; past it the hold stays, which is said. */
export const CLOSE_TRIES_MAX = 10;
export const PROBATION_DEATHS = 3;
export const PROBATION_WINDOW_MS = 60_000;
export const PROBATION_MS = 30_000;

/** A client that was told E_DRAINING comes again within this. */
export const DRAINING_RETRY_MS = 1_000;

export const LATE_LOOK_MS = 100;

assert(RECONNECT_FIRST_MS < RECONNECT_MIN_MS && RECONNECT_MIN_MS < PATH_SETTLED_MS, 'First tries are short ones');
assert(RECONNECT_MIN_MS < RECONNECT_MAX_MS, 'Back-off must grow');
