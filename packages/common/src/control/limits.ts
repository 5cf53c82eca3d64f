// Defines bounds for the control socket. Units are in the names. A package that depends on this one asserts, in its own src/limits.ts, how
// its bounds relate to the bounds in this file.

const MIB = 1024 * 1024;

export const FIRST_CONTACT_WAIT_MS = 3_000;
export const LIST_WAIT_MS = 2_000;

export const CONTROL_LINE_MAX_BYTES = 4 * MIB;
export const CONTROL_CONNECTIONS_MAX = 64;
/** Maximum size of an answer. Answers may be longer than requests, because an answer may list every volume of a namespace. */
export const CONTROL_ANSWER_MAX_BYTES = 64 * MIB;
/**
 * Maximum number of requests of one control connection that are in progress at the same time. Further requests wait, and the server stops
 * reading from the connection.
 */
export const CONTROL_REQUESTS_OUT_MAX = 16;
/** Time-out for requests that the daemon can answer at once. If no answer arrives within this time, the daemon hangs or is stopped. */
export const CONTROL_ANSWER_MS = 10_000;
/**
 * Time-out for requests that the daemon may not be able to answer at once. This time-out applies only if the daemon has answered the
 * greeting.
 */
export const CONTROL_TIMEOUT_MS = 60_000;
export const EVENTS_KEPT = 1_000;
