// Defines bounds for the control socket. The name of each bound contains its unit. Every dependent package asserts in its src/limits.ts how
// its bounds relate to the bounds defined here.

const KIB = 1024;
const MIB = 1024 * KIB;

export const FIRST_CONTACT_WAIT_MS = 3_000;
export const LIST_WAIT_MS = 2_000;

export const CONTROL_LINE_MAX_BYTES = 4 * MIB;
export const CONTROL_CONNECTIONS_MAX = 64;
/** Longest field `by` of a request, which names the person or program on whose behalf the request is sent. A longer text is cut off. */
export const BY_MAX_CHARS = 128;
/** Maximum length of the name of an unknown method or parameter in an error. A longer name is cut off. */
export const METHOD_MAX_CHARS = 64;
/** Maximum length of an answer. Answers may be longer than requests, because an answer may list every volume of a namespace. */
export const CONTROL_ANSWER_MAX_BYTES = 64 * MIB;
/** Maximum number of requests in progress on one control connection. */
export const CONTROL_REQUESTS_OUT_MAX = 16;
/** Maximum number of bytes of unread answers on all connections of a control socket together. */
export const CONTROL_UNREAD_MAX_BYTES = 4 * CONTROL_ANSWER_MAX_BYTES;
/**
 * Bounds of the socket for control-group, which may only read. Connections to this socket do not count towards CONTROL_CONNECTIONS_MAX.
 * A program needs two requests at a time: a greeting and the request itself.
 */
export const READ_CONNECTIONS_MAX = 16;
export const READ_REQUESTS_OUT_MAX = 2;
/**
 * Maximum number of requests of all readers together that are in progress or wait. Requests whose connections have ended also count.
 * Further requests are refused.
 */
export const READ_REQUESTS_MAX = READ_CONNECTIONS_MAX * READ_REQUESTS_OUT_MAX;
/** Longest request of a reader. */
export const READ_LINE_MAX_BYTES = 64 * KIB;
export const READ_UNREAD_MAX_BYTES = 2 * CONTROL_ANSWER_MAX_BYTES;
/**
 * Maximum number of requests of all members of operate-group that are in progress or wait, and of all members of admin-group. Requests whose
 * connections have ended also count. Further requests are refused, so that members leave place for the user of rssrv.
 */
export const GROUP_REQUESTS_MAX = 64;
/** Time-out for requests that the daemon can answer at once. A daemon that has not answered within this time hangs or is stopped. */
export const CONTROL_ANSWER_MS = 10_000;
/** Time limit for changes of the server's configuration or volumes. The allocation of a thick volume takes longest. */
export const SERVER_CHANGE_MS = 600_000;
/**
 * Time limit for a request that rsiod passes on to a server. The limit is longer than the server's own limit, so that rsiod can still
 * report the server's error.
 */
export const SERVER_CALL_MS = SERVER_CHANGE_MS + CONTROL_ANSWER_MS;
/**
 * Time limit for a request that ends the session of a client. If the session has not ended within this time, the server answers with
 * E_TIMEOUT.
 */
export const SESSION_END_MS = 45_000;
/** Time-out, after the answer to the greeting, for requests that the daemon may not be able to answer at once. */
export const CONTROL_TIMEOUT_MS = 60_000;
export const EVENTS_KEPT = 1_000;
/** Longest text of a message from node to node, in UTF-8. */
export const MESSAGE_TEXT_MAX_BYTES = 4 * KIB;
/** Longest time for which rssrv holds back the answer of the method `events` until there is an event. */
export const EVENTS_WAIT_MAX_MS = 8_000;

/** Shortest and longest time from one moment of a replication to the next. */
export const REPLICATION_EVERY_MIN_MS = 1_000;
export const REPLICATION_EVERY_MAX_MS = 30 * 24 * 3_600_000;
/** Maximum number of moments of a replication that both servers keep. */
export const REPLICATION_KEEP_MAX = 500;
/** Maximum number of volumes that share the moments of a replication. */
export const REPLICATION_VOLUMES_MAX = 64;
/** Maximum number of replications from one server to one other server, which reports them in one request. */
export const REPLICATION_REPORTS_MAX = 256;
/** Maximum number of moments that an order of a source lists. */
export const REPLICATION_MOMENTS_MAX = 1_000;
/** Longest text that one server sends to the other about a replication. */
export const REPLICATION_TEXT_MAX_CHARS = 4_000;

/** Default duration of a pause of a volume. */
export const PAUSE_MS = 30_000;
export const PAUSE_MIN_MS = 1_000;
/** Longest pause of a volume. I/O of programs on the clients waits until the pause ends. */
export const PAUSE_MAX_MS = 3_600_000;
/** Largest value of the parameter `olderMs`, which selects volumes by the time since their removal. */
export const OLDER_MAX_MS = 366 * 24 * 60 * 60 * 1_000;

/** Longest text in the progress that a command reports to rsiod. */
export const COMMAND_WORK_TEXT_MAX_CHARS = 256;
