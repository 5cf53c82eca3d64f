// Defines bounds for the control socket. Units are in the names. Every dependent package asserts in its src/limits.ts how its bounds relate
// to the bounds defined here.

const MIB = 1024 * 1024;

export const FIRST_CONTACT_WAIT_MS = 3_000;
export const LIST_WAIT_MS = 2_000;

export const CONTROL_LINE_MAX_BYTES = 4 * MIB;
export const CONTROL_CONNECTIONS_MAX = 64;
/** Answers may be longer than requests, because an answer may list every volume of a namespace. */
export const CONTROL_ANSWER_MAX_BYTES = 64 * MIB;
/** Maximum number of requests in progress on one control connection. */
export const CONTROL_REQUESTS_OUT_MAX = 16;
/** Time-out for requests that the daemon can answer at once. Without an answer within this time, the daemon hangs or is stopped. */
export const CONTROL_ANSWER_MS = 10_000;
/** Time that a change of the server's configuration or volumes may take. Allocating a thick volume takes longest. */
export const SERVER_CHANGE_MS = 600_000;
/**
 * Time-out for requests that the daemon may not be able to answer at once. This time-out applies only if the daemon has answered the
 * greeting.
 */
export const CONTROL_TIMEOUT_MS = 60_000;
export const EVENTS_KEPT = 1_000;
