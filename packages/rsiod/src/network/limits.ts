// Bounds of rsiod's network/ folder. Units are in the names.
// src/limits.ts asserts relations to bounds of other folders.

import { INTERFACES_NAMED_MAX } from '@rsio/protocol/wire/limits';

/** Changes of the servers' lists, and of the set of paths that are up, are collected for this long before the client adapts its paths. */
export const ROUTES_FOLLOW_MS = 20;
/** Maximum number of a namespace's connections that are set up at a time, and how long one of them may delay the others. */
export const CONNECTS_AT_ONCE_MAX = 32;
export const CONNECT_TURN_MS = 100;

/** Interval at which a starting rsiod checks whether its servers were reached. */
export const FIRST_CONTACT_POLL_MS = 20;
/** Number of addresses whose errors rsiod reports at the prompt when it starts. Errors of further addresses are counted. */
export const REFUSALS_REPORTED_MAX = 16;
/**
 * Maximum number of callers that wait for one server's list. One more caller makes the one that has waited longest proceed without the
 * list.
 */
export const LIST_WAITERS_MAX = 1_024;

/** Number of end points that are remembered as reported by a server. Beyond it, the oldest is removed. */
export const END_POINTS_REMEMBERED_MAX = 4 * INTERFACES_NAMED_MAX;
