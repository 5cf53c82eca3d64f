// Bounds of what rsweb knows at a time. Units are in the names.
// Invariant: what one source tells cannot fill the memory.

import { POOLS_MAX, SERVERS_PER_CLIENT_MAX } from '@rsio/common/config/schema/limits';
import { assert } from '@rsio/common/lib/assert';

/** Elements of each list of a picture. Sources share it: one that tells little keeps all, and the others share the rest. */
export const ELEMENTS_MAX = 20_000;
/** Findings that are kept; those of each source by turns, its errors before its warnings. */
export const FINDINGS_MAX = 500;
/** Servers, and clients, that another machine may speak for. A machine has one of each. */
export const CLAIMS_MAX = 4;
/** What another machine may have beside that: servers that its client knows, and pools of its own servers. */
export const HEARSAY_SERVERS_MAX = SERVERS_PER_CLIENT_MAX;
export const SOURCE_POOLS_MAX = CLAIMS_MAX * POOLS_MAX;
export const EVENTS_MAX = 200;
/** Texts from other machines are cut at this length. */
export const TEXT_MAX_CHARS = 2_048;
/** Elements of the lists inside of an element, such as the holders of a volume. */
export const INNER_MAX = 4_096;

/** The end of the year 9999, which every page can show. */
export const DATE_MAX_MS = 253_402_300_799_000;
/** No size, rate or latency is larger. */
export const FIGURE_MAX = 2 ** 64;

/** A pool that is fuller than this is reported as a warning, and as an error. */
export const POOL_WARNING = 0.8;
export const POOL_ERROR = 0.95;

/** History: steps and lengths of the rings of an object, the finest first. */
export const RINGS = [
  { stepMs: 5_000, length: 180 },
  { stepMs: 60_000, length: 360 },
] as const;
/** Series of an object that are kept, 4 bytes for each step. */
const SERIES_KEPT = 9;
/**
 * Objects with a history. Beyond it, one that has done nothing for HISTORY_IDLE_MS loses its own to one that is busy, and one of the machine
 * with the most of them to one of a machine that has less than its share.
 */
export const HISTORY_OBJECTS_MAX = 3_000;
export const HISTORY_IDLE_MS = 300_000;
/** How exactly it is known when an object was busy last. */
export const REORDER_MS = 60_000;
export const HISTORY_BYTES_MAX = 64 * 1_024 * 1_024;
const RING_STEPS = RINGS.reduce((sum, { length }) => sum + length, 0);

assert(REORDER_MS < HISTORY_IDLE_MS, 'An object that is busy must not lose its history');
assert(HISTORY_OBJECTS_MAX * RING_STEPS * SERIES_KEPT * 4 <= HISTORY_BYTES_MAX, 'The history must fit into its memory');
