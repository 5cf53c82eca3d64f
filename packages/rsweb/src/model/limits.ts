// Bounds of the picture that rsweb keeps. Units are in the names.
// Invariant: the data of one source cannot fill the memory.

import { POOLS_MAX, SERVERS_PER_CLIENT_MAX } from '@rsio/common/config/schema/limits';
import { assert } from '@rsio/common/lib/assert';

/**
 * Maximum length of each list of a picture. The sources share this length: a short list is kept whole, and longer lists share the remaining
 * places.
 */
export const ELEMENTS_MAX = 20_000;
/** Maximum number of findings, taken from all sources in turn, errors before warnings. */
export const FINDINGS_MAX = 500;
/** Maximum number of servers, and of clients, that another machine may report as its own. A machine normally has one of each. */
export const CLAIMS_MAX = 4;
/** Further bounds for another machine: servers that its client knows, and pools of its own servers. */
export const HEARSAY_SERVERS_MAX = SERVERS_PER_CLIENT_MAX;
export const SOURCE_POOLS_MAX = CLAIMS_MAX * POOLS_MAX;
export const EVENTS_MAX = 200;
/** Maximum length of a text from another machine. Longer texts are cut. */
export const TEXT_MAX_CHARS = 2_048;
/** Maximum length of a list inside an element, such as the holders of a volume. */
export const INNER_MAX = 4_096;

/** The end of the year 9999, the last date that pages can show. */
export const DATE_MAX_MS = 253_402_300_799_000;
/** Upper bound of every size, rate and latency. */
export const FIGURE_MAX = 2 ** 64;

/** Fill levels from which a pool is reported as a warning and as an error. */
export const POOL_WARNING = 0.8;
export const POOL_ERROR = 0.95;

/** Steps and lengths of an object's history rings, the smallest step first. */
export const RINGS = [
  { stepMs: 5_000, length: 180 },
  { stepMs: 60_000, length: 360 },
] as const;
/** Number of series that an object's rings have at most. Each series needs 4 bytes for each step. */
const SERIES_KEPT = 9;
/**
 * Maximum number of objects with a history. A further busy object replaces one that has been idle for HISTORY_IDLE_MS, or one of the
 * machine with the most objects, if the further object's machine has fewer.
 */
export const HISTORY_OBJECTS_MAX = 3_000;
export const HISTORY_IDLE_MS = 300_000;
/** Precision of the time of an object's last activity. */
export const REORDER_MS = 60_000;
export const HISTORY_BYTES_MAX = 64 * 1_024 * 1_024;
const RING_STEPS = RINGS.reduce((sum, { length }) => sum + length, 0);

assert(REORDER_MS < HISTORY_IDLE_MS, 'An object that is busy must not lose its history');
assert(HISTORY_OBJECTS_MAX * RING_STEPS * SERIES_KEPT * 4 <= HISTORY_BYTES_MAX, 'The history must fit into its memory');
