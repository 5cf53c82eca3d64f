// Bounds for the code in rsiod's processes/ folder. The names of the bounds contain their units. The file src/limits.ts asserts that these
// bounds agree with those of other folders.

import { SERVERS_PER_CLIENT_MAX, VOLUMES_MAX } from '@rsio/common/config/schema/limits';

/** With `processes = auto`, rsiod has one data process for every CORES_PER_PROCESS cores. */
export const CORES_PER_PROCESS = 4;
/** How long the start of rsiod waits for its data processes. rsiod then continues, and late data processes attach their volumes later. */
export const PROCESS_START_MS = 15_000;
/**
 * How long a data process may take to flush, close its sessions and exit when it was told to end. A process that takes longer is killed.
 * systemd waits 60 s for rsiod as a whole.
 */
export const PROCESS_END_MS = 55_000;
/**
 * The main process asks each data process every PROCESS_QUIET_MS whether it is alive, and kills it after PROCESS_SILENCE_MS without any
 * message, as the keeper does with the main process.
 */
export const PROCESS_QUIET_MS = 5_000;
export const PROCESS_SILENCE_MS = 60_000;
/**
 * A data process that has ended is restarted at once. If the process repeatedly ends within PROCESS_SETTLED_MS of its start, rsiod pauses
 * before each further start. The pause doubles from PROCESS_PAUSE_MIN_MS to PROCESS_PAUSE_MAX_MS.
 */
export const PROCESS_SETTLED_MS = 60_000;
export const PROCESS_PAUSE_MIN_MS = 200;
export const PROCESS_PAUSE_MAX_MS = 5_000;
/**
 * A data process may reach a server later than the main process, or get a volume that another data process has not released yet. If the
 * main process sees the volume, it therefore repeats the request every PROCESS_REACH_LOOK_MS, until PROCESS_REACH_MS have passed.
 * PROCESS_REACH_MS is longer than the longest pause before a path reconnects.
 */
export const PROCESS_REACH_MS = 10_000;
export const PROCESS_REACH_LOOK_MS = 100;
/** How long a list or a sum over all processes waits for each process. A process that hangs is left out. */
export const PROCESS_ANSWER_MS = 3_000;
/**
 * How long a stop waits for the answer of a data process, which looks for users of its devices among all processes of the machine. The
 * command that stops rsiod waits longer.
 */
export const PROCESS_REFUSAL_MS = 8_000;
/**
 * How long a data process may take to flush and exit before another process replaces it. The I/O of all volumes waits during this time, so
 * a process that hangs must not prolong it.
 */
export const PROCESS_HAND_OVER_MS = 10_000;
/** How long rsiod waits for the exit of a killed process, which may be stuck in a system call. */
export const PROCESS_KILL_MS = 2_000;
/**
 * If a data process was not told that the command of an order has ended, it is told again after this time, until it answers or has ended.
 */
export const ORDER_END_RETRY_MS = 1_000;
/** Maximum number of unanswered requests to one data process. The control socket has a separate bound for each connection. */
export const PROCESS_CALLS_MAX = 1_024;
/** Maximum number of volumes that a data process may report: all volumes that a client can reach. */
export const PROCESS_VOLUMES_MAX = VOLUMES_MAX * SERVERS_PER_CLIENT_MAX;
/** Maximum length of a sentence or event that a data process sends. */
export const PROCESS_TEXT_MAX_CHARS = 16_384;
/** Length of the last output of a data process that the main process keeps for the log. */
export const PROCESS_OUTPUT_MAX_CHARS = 2_000;
