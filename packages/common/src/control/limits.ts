// Bounds of the control socket. Units are in the names.
// The src/limits.ts of the packages above assert relations to these bounds.

const MIB = 1024 * 1024;

export const FIRST_CONTACT_WAIT_MS = 3_000;
export const LIST_WAIT_MS = 2_000;

export const CONTROL_LINE_MAX_BYTES = 4 * MIB;
export const CONTROL_CONNECTIONS_MAX = 64;
/** Maximum size of an answer. Answers may list every volume of a namespace, so they may be longer than requests. */
export const CONTROL_ANSWER_MAX_BYTES = 64 * MIB;
/** Maximum number of requests of one control connection with unwritten answers. Beyond it, the connection is not read. */
export const CONTROL_REQUESTS_OUT_MAX = 16;
/** A daemon answers at once if it has the information. If nothing arrives for this long, it hangs or was stopped. */
export const CONTROL_ANSWER_MS = 10_000;
/** Maximum time for an answer that requires work, as long as the daemon answers at all. */
export const CONTROL_TIMEOUT_MS = 60_000;
export const EVENTS_KEPT = 1_000;
