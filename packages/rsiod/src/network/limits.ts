// Bounds for the code in rsiod's network/ folder. Names include the units. The file src/limits.ts asserts the relations between these
// bounds and the bounds of other folders.

import { INTERFACES_NAMED_MAX } from '@rsio/protocol/wire/limits';

/**
 * New routes are planned this long after a change of a server's interfaces or of the working paths. Several changes within the delay cause
 * only one new plan.
 */
export const ROUTES_FOLLOW_MS = 20;
/** Maximum number of connection attempts of one namespace that have a turn at the same time (connection-limiter.ts). */
export const CONNECTS_AT_ONCE_MAX = 32;
/** After this time, a connection attempt loses its turn if other attempts are waiting. */
export const CONNECT_TURN_MS = 100;

/** During its start, rsiod checks at this interval whether it has reached its servers. */
export const FIRST_CONTACT_POLL_MS = 20;
/**
 * When rsiod starts, it prints the errors of at most this many addresses. For the remaining addresses with errors, rsiod prints only their
 * number.
 */
export const REFUSALS_REPORTED_MAX = 16;
/**
 * While a path cannot be opened, its first FAILED_TRIES_LOGGED_MAX failures are logged, and the later ones at intervals that grow from
 * FAILED_TRIES_LOG_MIN_MS to FAILED_TRIES_LOG_MAX_MS.
 */
export const FAILED_TRIES_LOGGED_MAX = 3;
export const FAILED_TRIES_LOG_MIN_MS = 60_000;
export const FAILED_TRIES_LOG_MAX_MS = 10 * 60_000;
/**
 * Maximum number of callers that can wait for the list of volumes (LIST) of one server. When one more caller arrives, the caller that has
 * waited longest continues without the list.
 */
export const LIST_WAITERS_MAX = 1_024;
/** How long a new volume may take to appear in the list of its server. */
export const VOLUME_LISTED_WAIT_MS = 20_000;
/** Maximum number of requests that wait until a server lists a volume. */
export const VOLUME_WAITERS_MAX = 64;

/** Maximum number of end points that the client remembers for one server. A further end point replaces the oldest. */
export const END_POINTS_REMEMBERED_MAX = 4 * INTERFACES_NAMED_MAX;
