// Bounds of requests to other programs and machines. Units are in the names. Invariant: a slow or hostile source does not delay other
// sources, and uses a bounded share of memory.

import { assert } from '@rsio/common/lib/assert';

/** Interval between samples while a page is in use, and otherwise. */
export const LOOKING_MS = 1_000;
export const IDLE_MS = 5_000;
/** A page counts as in use for this time after its last request. */
export const LOOK_LASTS_MS = 15_000;
/** Interval between requests for facts that change rarely. */
export const SLOW_FACTS_MS = 5_000;
/** A daemon of this machine that does not answer within this time counts as hung. */
export const LOCAL_ANSWER_MS = 4_000;
/** Another machine that does not answer completely within this time counts as silent. */
export const REMOTE_ANSWER_MS = 4_000;
/** Maximum size of an answer, enough for about 10,000 volumes. */
export const REMOTE_ANSWER_MAX_BYTES = 8 * 1_024 * 1_024;
/** After an answer that took this process time T to handle, the source is not asked again for REST_FACTOR times T. */
export const REST_FACTOR = 20;
export const EVENTS_ASKED = 100;
/** Minimum interval between two merged pictures. */
export const MERGE_MS = 250;

assert(LOOKING_MS + MERGE_MS < 2_000, 'A fault must be seen within two seconds');
