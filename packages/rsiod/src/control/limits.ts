// Bounds for the code in rsiod's control/ folder. The names of the bounds contain their units. The file src/limits.ts asserts that these
// bounds agree with those of other folders.

/**
 * Time after which the control method `probe` starts no further measurement. The last measurement therefore ends before the requesting
 * command times out.
 */
export const PROBES_TIME_MAX_MS = 40_000;

/** Delay between the answer to `restart` or `stop` and the exit of the process. */
export const RESTART_ANSWER_MS = 100;

/**
 * One report covers all volumes whose storage starts a new incarnation while the client has nothing to replay. The report is made
 * BATCHED_LINES_MS after the first volume is affected. The report names up to BATCHED_LINES_NAMED_MAX volumes and only counts further
 * volumes. If many volumes log the same text, at most BATCHED_LINES_NAMED_MAX of these lines are written. One further line gives the number
 * of the lines that were not written.
 */
export const BATCHED_LINES_MS = 1_000;
export const BATCHED_LINES_NAMED_MAX = 5;

/**
 * Maximum number of requests that rsiod passes on to one server at the same time. Each server has its own bound, so that a server that does
 * not answer does not block requests to other servers.
 */
export const SERVER_CALLS_MAX = 16;
/** Maximum time between `snapshot-begin` and `snapshot-end`, during which file systems are frozen and the server makes the snapshots. */
export const SNAPSHOT_WHOLE_MS = 15 * 60_000;
/** How long a stopping rsiod waits for the programs of snapshot-after. */
export const SNAPSHOT_STOP_MS = 10_000;
/** Interval at which rsiod checks whether the command that makes the snapshots is still running. */
export const SNAPSHOT_ASKER_POLL_MS = 500;
export const SERVER_METHOD_MAX_CHARS = 64;

/** Maximum number of commands whose progress rsiod shows. */
export const COMMAND_WORKS_MAX = 64;
/** A command that has reported no progress for this time has ended. It must report more often, even if nothing was done. */
export const COMMAND_WORK_SILENT_MS = 15_000;

/** Maximum number of volumes for which rsiod remembers the last backup. */
export const BACKUPS_KEPT_MAX = 1_024;

/** Maximum number of answers of servers, that they have no volume of a name, that rsiod remembers. */
export const ABSENCES_KEPT_MAX = 8_192;

/** While a program waits for messages of other nodes, rsiod asks each server for them at this interval. */
export const MESSAGE_POLL_MS = 500;
/** Time limit for a server to accept a message, or to return its messages. */
export const MESSAGE_CALL_MS = 3_000;
/** A server that has not answered, or whose release does not support messages, is not asked again for this long. */
export const MESSAGE_REST_MS = 10_000;
/** Maximum number of successive requests to one server for further messages. */
export const MESSAGE_ROUNDS_MAX = 8;
/** Maximum number of programs that may wait for messages at the same time. */
export const MESSAGE_WAITERS_MAX = 16;
/** Maximum number of messages that rsiod keeps for local programs; the oldest are dropped first. */
export const MESSAGES_KEPT_MAX = 256;
/** Maximum number of received messages whose ids rsiod remembers, to recognize copies from other servers. */
export const MESSAGE_IDS_KEPT_MAX = 4_096;
/** Maximum number of messages in one answer of a server, and maximum length of an id or a sender's name in it. */
export const MESSAGES_TAKEN_MAX = 64;
export const MESSAGE_NAME_MAX_CHARS = 255;
