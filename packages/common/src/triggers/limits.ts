// Bounds of the triggers/ folder, for each daemon.
// The name of each bound contains its unit.

/** Maximum number of events that wait for the triggers. Further events are lost, and counted. */
export const TRIGGER_EVENTS_MAX = 64;
/**
 * Maximum number of events that may start their programs without a delay. TRIGGER_EVENT_EACH_MS: interval after which one more event may
 * start its programs.
 */
export const TRIGGER_EVENTS_AT_ONCE = 128;
export const TRIGGER_EVENT_EACH_MS = 5_000;
/** Maximum number of groups of snapshots that wait for the triggers of earlier groups. */
export const TRIGGER_SNAPSHOTS_MAX = 32;
/** Maximum amount of a program's output that is logged. */
export const TRIGGER_OUTPUT_MAX_BYTES = 4_096;
export const TRIGGER_OUTPUT_LINES_MAX = 20;
/** Longest wait for the end of a killed program. */
export const TRIGGER_KILL_WAIT_MS = 2_000;
/** Time after which the log says that events or snapshots wait for a program. */
export const TRIGGER_SLOW_MS = 5_000;
