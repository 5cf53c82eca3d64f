// Bounds of the control socket: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

const MIB = 1024 * 1024;

export const FIRST_CONTACT_WAIT_MS = 3_000;
export const LIST_WAIT_MS = 2_000;

export const CONTROL_LINE_MAX_BYTES = 4 * MIB;
export const CONTROL_CONNECTIONS_MAX = 64;
/** Answers may list every volume of a namespace, so they may be longer than requests. */
export const CONTROL_ANSWER_MAX_BYTES = 64 * MIB;
/** Requests of one control connection whose answers are not yet written; past it the connection is not read. */
export const CONTROL_REQUESTS_OUT_MAX = 16;
/** A daemon answers at once what it knows; one that has said nothing for so long hangs, or was stopped. */
export const CONTROL_ANSWER_MS = 10_000;
/** What a daemon must do something for may take this long, as long as it answers at all. */
export const CONTROL_TIMEOUT_MS = 60_000;
export const EVENTS_KEPT = 1_000;
