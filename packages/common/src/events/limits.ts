// Bounds of the events/ folder, for each daemon. The name of each bound contains its unit. EVENTS_KEPT, the length of the list, is in
// control/limits.ts, because EVENTS_KEPT also bounds a request.

import { assert } from '@rsio/base/lib/assert';
import { CONTROL_CONNECTIONS_MAX, GROUP_REQUESTS_MAX, READ_REQUESTS_MAX } from '../control/limits.ts';

/** Maximum number of requests that wait for the next event at the same time. A further request is refused. */
export const EVENT_WAITERS_MAX = 256;
assert(
  READ_REQUESTS_MAX + 2 * GROUP_REQUESTS_MAX + CONTROL_CONNECTIONS_MAX <= EVENT_WAITERS_MAX,
  'The members of groups must not take the places of the user of the daemon',
);
/** Maximum length of the reason of an event. A longer reason is cut off; the log has the whole text. */
export const EVENT_REASON_MAX_CHARS = 2_000;
/** Maximum length of every other text of an event, such as a name. */
export const EVENT_NAME_MAX_CHARS = 1_000;
/** EVENT_FILE_LINES_MAX and EVENT_FILE_MAX_BYTES: maximum number of lines and bytes in each of the two event files. */
export const EVENT_FILE_LINES_MAX = 1_000;
export const EVENT_FILE_MAX_BYTES = 1_048_576;
/**
 * If EVENTS_ALIKE_MAX like events are at most EVENT_REPEAT_MS old, the next one replaces the newest of them, and counts it. So do all later
 * ones that come within EVENT_REPEAT_MS.
 */
export const EVENT_REPEAT_MS = 60_000;
export const EVENTS_ALIKE_MAX = 4;
/** A full list drops the oldest event of an object that has this many, and no event of another object. */
export const EVENTS_OF_ONE_MAX = 200;
/** Maximum number of events that wait to be saved. If more events wait, the oldest events are not saved. */
export const EVENTS_UNSAVED_MAX = 1_000;
/** Time from the first unsaved event until all unsaved events are written together. */
export const EVENTS_SAVE_MS = 200;
/** Pause before events are saved again after an error. */
export const EVENTS_RETRY_MS = 5_000;
/** Number of event numbers that are skipped after an unclean end, because events with these numbers may have been shown but not saved. */
export const EVENT_NUMBERS_SKIPPED = 10_000;
