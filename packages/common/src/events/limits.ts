// Bounds of the events/ folder, for each daemon. Units are in the names. EVENTS_KEPT, the length of the list, is in control/limits.ts,
// because it also bounds a request.

/** Requests that wait for the next event at the same time. A further request is refused. */
export const EVENT_WAITERS_MAX = 64;
/** Longest reason of an event; the log has the whole text. */
export const EVENT_REASON_MAX_CHARS = 2_000;
/** Longest other text of an event, such as a name. */
export const EVENT_NAME_MAX_CHARS = 1_000;
/** Most lines of each of the two event files. */
export const EVENT_FILE_LINES_MAX = 1_000;
export const EVENT_FILE_MAX_BYTES = 1_048_576;
/** Most events that wait to be saved. If there are more, the oldest is not saved. */
export const EVENTS_UNSAVED_MAX = 1_000;
/** Time from the first unsaved event until all unsaved events are written together. */
export const EVENTS_SAVE_MS = 200;
/** Pause before events are saved again after an error. */
export const EVENTS_RETRY_MS = 5_000;
/** Numbers skipped after an unclean end, because events with these numbers may have been shown and not saved. */
export const EVENT_NUMBERS_SKIPPED = 10_000;
