// Bounds of rsiod's network/ folder. Units are in the names.
// src/limits.ts asserts relations to bounds of other folders.

import { INTERFACES_NAMED_MAX } from '@rsio/protocol/wire/limits';

/** Changes of the servers' lists, and of live paths, are collected for this long before the client adapts its paths. */
export const ROUTES_FOLLOW_MS = 20;
/** Number of connections of a namespace being set up at a time, and how long one of them may delay the others. */
export const CONNECTS_AT_ONCE_MAX = 32;
export const CONNECT_TURN_MS = 100;

/** Interval at which a starting rsiod checks whether its servers were reached. */
export const FIRST_CONTACT_POLL_MS = 20;
/** Number of addresses whose refusals a start reports at the prompt. Further refusals are counted. */
export const REFUSALS_REPORTED_MAX = 16;
/** Number of callers that wait for one server's list. One more makes the longest waiting caller proceed without it. */
export const LIST_WAITERS_MAX = 1_024;

/** Number of end points remembered as named by a server. Beyond it the oldest is forgotten. */
export const END_POINTS_REMEMBERED_MAX = 4 * INTERFACES_NAMED_MAX;
