// Bounds of what rsweb asks other programs and machines. Units are in the names.
// Invariant: a source that is slow or hostile delays no other one, and takes a bounded share of memory.

import { assert } from '@rsio/common/lib/assert';

/** Interval between samples while somebody looks, and otherwise. */
export const LOOKING_MS = 1_000;
export const IDLE_MS = 5_000;
/** Somebody looks for this time after the last request for a page. */
export const LOOK_LASTS_MS = 15_000;
/** What changes rarely is asked at this interval. */
export const SLOW_FACTS_MS = 5_000;
/** A daemon of this machine that has not answered for this time hangs. */
export const LOCAL_ANSWER_MS = 4_000;
/** Another machine that has not answered completely for this time is silent. */
export const REMOTE_ANSWER_MS = 4_000;
/** About 10,000 volumes. */
export const REMOTE_ANSWER_MAX_BYTES = 8 * 1_024 * 1_024;
/** A source that has cost time is left alone for so many times as long: pages and logins wait for it at most once in a while. */
export const REST_FACTOR = 20;
export const EVENTS_ASKED = 100;
/** A new picture is made at most this often. */
export const MERGE_MS = 250;

assert(LOOKING_MS + MERGE_MS < 2_000, 'A fault must be seen within two seconds');
