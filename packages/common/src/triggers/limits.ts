// Bounds of the triggers/ folder, for each daemon: programs of the administrator that are started at events.
// Units are in the names.

/** Events that wait for the triggers. Further ones are lost, and counted. */
export const TRIGGER_EVENTS_MAX = 64;
/** Events that start their programs at once, and the pause after which each further one may. */
export const TRIGGER_EVENTS_AT_ONCE = 128;
export const TRIGGER_EVENT_EACH_MS = 5_000;
/** Groups of snapshots that wait for the triggers of the one before. */
export const TRIGGER_SNAPSHOTS_MAX = 32;
/** Output of a program that is logged. */
export const TRIGGER_OUTPUT_MAX_BYTES = 4_096;
export const TRIGGER_OUTPUT_LINES_MAX = 20;
/** Time after which a killed program is not waited for. */
export const TRIGGER_KILL_WAIT_MS = 2_000;
/** Time after which the log says that something waits for a program. */
export const TRIGGER_SLOW_MS = 5_000;
