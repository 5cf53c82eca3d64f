// Bounds of probes, at both ends: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

import { assert } from '@rsio/common/lib/assert';
import { SEGMENT_BYTES } from '../../link/limits.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Headers of IPv4 and UDP before a datagram: it goes through an MTU of so many bytes more. */
export const DATAGRAM_HEADERS_BYTES = 28;

/** A server ends a probe connection after this time, or this many bytes both ways. */
export const PROBE_TIME_MAX_MS = 10_000;
export const PROBE_BYTES_MAX = 2 * 1024 * MIB;
export const PROBE_SLOTS = 16;
export const PROBE_WINDOW_BYTES = PROBE_SLOTS * SEGMENT_BYTES;
/** READ data that a server says in one turn of its loop, and lets pile up for one probe. */
export const PROBE_TURN_BYTES = 8 * SEGMENT_BYTES;
export const PROBE_PINGS = 8;
/** How long a burst asks for data, each way. */
export const PROBE_BURST_MS = 200;
/** A burst has so much under way as the rate seen so far moves in this time, and this at least. */
export const PROBE_AHEAD_MS = 50;
export const PROBE_AHEAD_MIN_BYTES = 64 * KIB;
export const PROBE_BURST_MAX_BYTES = PROBE_BYTES_MAX / 4;
/** A probe waits this long for any one answer. */
export const PROBE_ANSWER_TIMEOUT_MS = 3_000;
export const PROBE_DATAGRAM_TIMEOUT_MS = 300;
/** How often a datagram of one size is sent at most, to show that it goes through. */
export const PROBE_DATAGRAM_TRIES = 3;

assert(
  2 * PROBE_BURST_MAX_BYTES + 2 * PROBE_WINDOW_BYTES < PROBE_BYTES_MAX &&
    2 * (PROBE_BURST_MS + PROBE_ANSWER_TIMEOUT_MS) < PROBE_TIME_MAX_MS,
  'A well-behaved probe must never meet its bounds',
);
