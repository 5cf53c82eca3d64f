// Bounds of probes, which client and server must observe; each name includes the unit. The assertions in src/limits.ts check these bounds
// against the bounds of other folders.

import { assert } from '@rsio/common/lib/assert';
import { SEGMENT_BYTES } from '../../link/limits.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Size of the IPv4 and UDP headers together. The MTU must exceed the size of a datagram by this many bytes. */
export const DATAGRAM_HEADERS_BYTES = 28;

/** A server ends a probe connection after this time, or after PROBE_BYTES_MAX in both directions together. */
export const PROBE_TIME_MAX_MS = 10_000;
export const PROBE_BYTES_MAX = 2 * 1024 * MIB;
export const PROBE_SLOTS = 16;
export const PROBE_WINDOW_BYTES = PROBE_SLOTS * SEGMENT_BYTES;
/**
 * Amount of READ data after which a server stops answering a probe for the rest of an event-loop turn. A server also stops answering a
 * probe while this much output to the probe is queued.
 */
export const PROBE_TURN_BYTES = 8 * SEGMENT_BYTES;
export const PROBE_PINGS = 8;
/** Duration of a burst; a probe sends one burst in each direction. */
export const PROBE_BURST_MS = 200;
/**
 * A burst keeps as many bytes in flight as the path can move in this time plus one round trip, at the rate measured so far. A burst keeps
 * at least PROBE_AHEAD_MIN_BYTES in flight, or the whole window if the window is smaller.
 */
export const PROBE_AHEAD_MS = 50;
export const PROBE_AHEAD_MIN_BYTES = 64 * KIB;
export const PROBE_BURST_MAX_BYTES = PROBE_BYTES_MAX / 4;
export const PROBE_ANSWER_TIMEOUT_MS = 3_000;
export const PROBE_DATAGRAM_TIMEOUT_MS = 300;
export const PROBE_DATAGRAM_TRIES = 3;

assert(
  2 * PROBE_BURST_MAX_BYTES + 2 * PROBE_WINDOW_BYTES < PROBE_BYTES_MAX &&
    2 * (PROBE_BURST_MS + PROBE_ANSWER_TIMEOUT_MS) < PROBE_TIME_MAX_MS,
  'A well-behaved probe must never meet its bounds',
);
