// Bounds for the code in rsiod's network/ folder. Names include the units. Relations that must hold between these bounds and those of other
// folders are asserted in src/limits.ts.

import { INTERFACES_NAMED_MAX } from '@rsio/protocol/wire/limits';

/**
 * Delay between a change in a server's list, or in the set of working paths, and the planning of new routes. Because of the delay, several
 * changes cause only one new plan.
 */
export const ROUTES_FOLLOW_MS = 20;
/** Maximum number of connection attempts in one namespace that have a turn (connection-limiter.ts) at the same time. */
export const CONNECTS_AT_ONCE_MAX = 32;
/** After this time, a connection attempt loses its turn if other attempts are waiting, but it continues. */
export const CONNECT_TURN_MS = 100;

/** Interval at which rsiod, while it starts, checks whether it has reached its servers. */
export const FIRST_CONTACT_POLL_MS = 20;
/** Maximum number of addresses whose errors rsiod prints when it starts. Errors from further addresses are only counted. */
export const REFUSALS_REPORTED_MAX = 16;
/**
 * Maximum number of callers that can wait for one server's list. If one more caller arrives, the caller that has waited longest proceeds
 * without the list.
 */
export const LIST_WAITERS_MAX = 1_024;

/** Maximum number of end points that the client remembers for one server. To remember one more end point, the client removes the oldest. */
export const END_POINTS_REMEMBERED_MAX = 4 * INTERFACES_NAMED_MAX;
