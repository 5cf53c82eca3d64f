// Bounds of rsiod's network/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

import { INTERFACES_NAMED_MAX } from '@rsio/protocol/wire/limits';

/** How long changes in the servers' lists and in the set of working paths are collected before the client adapts its paths. */
export const ROUTES_FOLLOW_MS = 20;
/** Maximum number of a namespace's connection attempts that have a turn at the same time. */
export const CONNECTS_AT_ONCE_MAX = 32;
/** Time after which an attempt loses its turn if others are waiting. It continues without a turn. */
export const CONNECT_TURN_MS = 100;

/** Interval at which a starting rsiod checks whether its servers were reached. */
export const FIRST_CONTACT_POLL_MS = 20;
/** Maximum number of addresses whose errors rsiod prints when it starts. Errors from further addresses are only counted. */
export const REFUSALS_REPORTED_MAX = 16;
/**
 * Maximum number of callers that can wait for one server's list. Beyond it, the caller that has waited longest proceeds without the list.
 */
export const LIST_WAITERS_MAX = 1_024;

/** Maximum number of remembered end points reported by one server. Beyond it, the oldest is removed. */
export const END_POINTS_REMEMBERED_MAX = 4 * INTERFACES_NAMED_MAX;
