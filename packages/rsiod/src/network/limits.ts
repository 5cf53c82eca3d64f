// Bounds for the code in rsiod's network/ folder. Names include the units. The file src/limits.ts asserts the relations between these
// bounds and the bounds of other folders.

import { INTERFACES_NAMED_MAX } from '@rsio/protocol/wire/limits';

/**
 * When a server's list of interfaces or the set of working paths changes, new routes are planned after this delay. Several changes within
 * the delay cause only one new plan.
 */
export const ROUTES_FOLLOW_MS = 20;
/** Maximum number of connection attempts in one namespace that may have a turn at the same time (connection-limiter.ts). */
export const CONNECTS_AT_ONCE_MAX = 32;
/** After this time, a connection attempt loses its turn if other attempts are waiting. The attempt itself continues. */
export const CONNECT_TURN_MS = 100;

/** During its start, rsiod checks at this interval whether it has reached its servers. */
export const FIRST_CONTACT_POLL_MS = 20;
/** Maximum number of addresses whose errors rsiod prints when it starts. Errors from further addresses are only counted. */
export const REFUSALS_REPORTED_MAX = 16;
/**
 * Maximum number of callers that can wait for the list (LIST) of one server. If one more caller arrives, the caller that has waited longest
 * proceeds without the list.
 */
export const LIST_WAITERS_MAX = 1_024;

/** Maximum number of end points that the client remembers for one server. To remember one more end point, the client removes the oldest. */
export const END_POINTS_REMEMBERED_MAX = 4 * INTERFACES_NAMED_MAX;
