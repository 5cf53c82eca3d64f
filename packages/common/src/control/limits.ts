// Defines bounds for the control socket. Units are in the names. Every dependent package asserts in its src/limits.ts how its bounds relate
// to the bounds defined here.

const KIB = 1024;
const MIB = 1024 * KIB;

export const FIRST_CONTACT_WAIT_MS = 3_000;
export const LIST_WAIT_MS = 2_000;

export const CONTROL_LINE_MAX_BYTES = 4 * MIB;
export const CONTROL_CONNECTIONS_MAX = 64;
/** Longest name of those on whose behalf a program asks; the rest of it is cut off. */
export const BY_MAX_CHARS = 128;
/** Of an unknown method or parameter, an error repeats so much. */
export const METHOD_MAX_CHARS = 64;
/** Answers may be longer than requests, because an answer may list every volume of a namespace. */
export const CONTROL_ANSWER_MAX_BYTES = 64 * MIB;
/** Maximum number of requests in progress on one control connection. */
export const CONTROL_REQUESTS_OUT_MAX = 16;
/** Answers of a control socket that nobody has read, on all its connections. */
export const CONTROL_UNREAD_MAX_BYTES = 4 * CONTROL_ANSWER_MAX_BYTES;
/**
 * Bounds of the socket for the group that may read. Its connections do not count towards CONTROL_CONNECTIONS_MAX. A program needs two
 * requests at a time, a greeting and a request; each may leave an answer that nobody reads.
 */
export const READ_CONNECTIONS_MAX = 16;
export const READ_REQUESTS_OUT_MAX = 2;
/** Requests of all readers that are in progress or wait. They outlive their connections. Further ones are refused. */
export const READ_REQUESTS_MAX = READ_CONNECTIONS_MAX * READ_REQUESTS_OUT_MAX;
/** Readers send short requests only. */
export const READ_LINE_MAX_BYTES = 64 * KIB;
export const READ_UNREAD_MAX_BYTES = 2 * CONTROL_ANSWER_MAX_BYTES;
/** Time-out for requests that the daemon can answer at once. Without an answer within this time, the daemon hangs or is stopped. */
export const CONTROL_ANSWER_MS = 10_000;
/** Time that a change of the server's configuration or volumes may take. Allocating a thick volume takes longest. */
export const SERVER_CHANGE_MS = 600_000;
/** Time that rsiod may take to pass a request on to a server. It is longer than the request itself, so that rsiod says what went wrong. */
export const SERVER_CALL_MS = SERVER_CHANGE_MS + CONTROL_ANSWER_MS;
/** Time that an order may take that ends the session of a client. The server answers earlier, with E_TIMEOUT at the latest. */
export const SESSION_END_MS = 45_000;
/**
 * Time-out for requests that the daemon may not be able to answer at once. This time-out applies only if the daemon has answered the
 * greeting.
 */
export const CONTROL_TIMEOUT_MS = 60_000;
export const EVENTS_KEPT = 1_000;
/** Longest time for which rssrv holds back the answer of the method `events` until there is an event. */
export const EVENTS_WAIT_MAX_MS = 8_000;

/** For how long a volume is paused, if the command does not tell. */
export const PAUSE_MS = 30_000;
export const PAUSE_MIN_MS = 1_000;
/** Longest pause. Programs on the clients wait all that time. */
export const PAUSE_MAX_MS = 3_600_000;
/** Longest time for which removed volumes may be asked that were removed so long ago. They are kept for a day. */
export const OLDER_MAX_MS = 366 * 24 * 60 * 60 * 1_000;
