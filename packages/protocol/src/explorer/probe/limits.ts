// Bounds of probes, at both ends. Units are in the names.
// Invariant: the relations asserted below. src/limits.ts asserts that they agree with the bounds of other folders.

import { assert } from '@rsio/common/lib/assert';
import { SEGMENT_BYTES } from '../../link/limits.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Sizes of the IPv4 and UDP headers. A datagram needs an MTU that is larger by this many bytes. */
export const DATAGRAM_HEADERS_BYTES = 28;

/** A server ends a probe connection after this time, or after PROBE_BYTES_MAX in both directions together. */
export const PROBE_TIME_MAX_MS = 10_000;
export const PROBE_BYTES_MAX = 2 * 1024 * MIB;
export const PROBE_SLOTS = 16;
export const PROBE_WINDOW_BYTES = PROBE_SLOTS * SEGMENT_BYTES;
/** Maximum READ data that a server sends in one event-loop turn, and maximum that it queues for one probe. */
export const PROBE_TURN_BYTES = 8 * SEGMENT_BYTES;
export const PROBE_PINGS = 8;
/** Duration of a burst, in each direction. */
export const PROBE_BURST_MS = 200;
/** A burst keeps as many bytes in flight as the rate measured so far moves in this time, and at least PROBE_AHEAD_MIN_BYTES. */
export const PROBE_AHEAD_MS = 50;
export const PROBE_AHEAD_MIN_BYTES = 64 * KIB;
export const PROBE_BURST_MAX_BYTES = PROBE_BYTES_MAX / 4;
/** Maximum wait of a probe for any single answer. */
export const PROBE_ANSWER_TIMEOUT_MS = 3_000;
export const PROBE_DATAGRAM_TIMEOUT_MS = 300;
/** Maximum number of attempts for a datagram of one size before that size counts as lost. */
export const PROBE_DATAGRAM_TRIES = 3;

assert(
  2 * PROBE_BURST_MAX_BYTES + 2 * PROBE_WINDOW_BYTES < PROBE_BYTES_MAX &&
    2 * (PROBE_BURST_MS + PROBE_ANSWER_TIMEOUT_MS) < PROBE_TIME_MAX_MS,
  'A well-behaved probe must never meet its bounds',
);
