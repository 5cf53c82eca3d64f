// Bounds of the events/ folder, for each daemon. Units are in the names. EVENTS_KEPT, the length of the list, is among the bounds of the
// control interface, because a request asks for at most that many.

/** Requests that wait for the next event at the same time. A further request is refused. */
export const EVENT_WAITERS_MAX = 64;
/** Length of the reason of an event; the log has the whole text. */
export const EVENT_REASON_MAX_CHARS = 2_000;
/** Length of the other texts of an event. They contain names of volumes, which are much shorter. */
export const EVENT_NAME_MAX_CHARS = 1_000;
/** Lines of each of the two files of events. */
export const EVENT_FILE_LINES_MAX = 1_000;
export const EVENT_FILE_MAX_BYTES = 1_048_576;
/** Events that wait to be saved. When there are more, the oldest one is not saved. */
export const EVENTS_UNSAVED_MAX = 1_000;
/** Events are saved together, so long after the first one. */
export const EVENTS_SAVE_MS = 200;
/** Pause before events are saved again after an error. */
export const EVENTS_RETRY_MS = 5_000;
/**
 * Numbers that are left out after an unclean end, because events with them may have been shown and not saved. So no number is used twice.
 */
export const EVENT_NUMBERS_SKIPPED = 10_000;
