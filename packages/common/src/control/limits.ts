// Bounds for the control socket. Units are in the names. Packages that depend on this one assert relations to these bounds in their
// src/limits.ts.

const MIB = 1024 * 1024;

export const FIRST_CONTACT_WAIT_MS = 3_000;
export const LIST_WAIT_MS = 2_000;

export const CONTROL_LINE_MAX_BYTES = 4 * MIB;
export const CONTROL_CONNECTIONS_MAX = 64;
/** Maximum size of an answer. Answers may be longer than requests, because they may list every volume of a namespace. */
export const CONTROL_ANSWER_MAX_BYTES = 64 * MIB;
/** Maximum number of requests on one control connection whose answers have not been written. At this limit, the server stops reading. */
export const CONTROL_REQUESTS_OUT_MAX = 16;
/** Time-out for answers that require no work. If no answer arrives within this time, the daemon hangs or was stopped. */
export const CONTROL_ANSWER_MS = 10_000;
/** Maximum time for an answer that requires work, if the daemon has answered the greeting. */
export const CONTROL_TIMEOUT_MS = 60_000;
export const EVENTS_KEPT = 1_000;
