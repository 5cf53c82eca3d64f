// Bounds of network/ in rsiod: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

import { INTERFACES_NAMED_MAX } from '@rsio/protocol/wire/limits';

/** Changes of what servers name, and of which paths live, are followed together after this. */
export const ROUTES_FOLLOW_MS = 20;
/** Connections of a namespace that are being set up at a time, and for how long one of them keeps the others waiting. */
export const CONNECTS_AT_ONCE_MAX = 32;
export const CONNECT_TURN_MS = 100;

/** How often a starting rsiod looks whether its servers were reached. */
export const FIRST_CONTACT_POLL_MS = 20;
/** Addresses of which its start tells at the prompt what their servers said; the rest is counted. */
export const REFUSALS_TOLD_MAX = 16;
/** That wait for one server's list at a time; who has waited longest gives up for the next. */
export const LIST_WAITERS_MAX = 1_024;

/** End points that a client remembers a server to have named; past it the oldest is forgotten. */
export const END_POINTS_REMEMBERED_MAX = 4 * INTERFACES_NAMED_MAX;
