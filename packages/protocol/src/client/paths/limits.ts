// Bounds of a path: rates, choice of a path, liveness. Units are in the names.
// src/limits.ts asserts their relations to bounds of other folders.

import { SEGMENT_BYTES } from '../../link/limits.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

// --- a path of a session
/**
 * A request that has provably reached the server (a later PING got its PONG) and is unanswered for this long counts as waiting for the
 * server's storage. It no longer counts as load of its path.
 */
export const HELD_BY_STORAGE_MS = 2_000;
/** Maximum bytes that one path stores for unfinished answers of several frames, such as a list of all volumes. */
export const ANSWER_PARTS_MAX_BYTES = 64 * MIB;
/** Cost of a part in addition to its bytes, so that empty parts are bounded, too. */
export const ANSWER_PART_COST_BYTES = 256;

// --- choosing a path
/**
 * A path's rate is measured in periods (spells) of this length, or of one round trip if that is longer. A spell also ends when nothing is
 * in flight any more.
 */
export const RATE_SPELL_MS = 20;
/**
 * If bytes stay in flight for longer than this many round trips, they wait for the link, and a spell shows the rate of the path. Otherwise
 * it shows only a lower bound.
 */
export const RATE_FULL_TRIPS = 2;
/**
 * Maximum weight of one spell in the estimate. A spell weighs proportionally less if it moved fewer than RATE_RISE_FULL_BYTES (to raise the
 * estimate) or RATE_FALL_FULL_BYTES (to lower it). A spell that was shorter than RATE_SPELL_MS also weighs less, but only to lower the
 * estimate.
 */
export const RATE_GAIN_MAX = 0.5;
export const RATE_RISE_FULL_BYTES = 16 * KIB;
export const RATE_FALL_FULL_BYTES = 64 * KIB;
/**
 * An estimate expires if the path is unused for this long. Until the next measurement, only a few bytes may be in flight, initially
 * FLIGHT_FIRST_BYTES.
 */
export const RATE_AGES_MS = 10_000;
export const FLIGHT_FIRST_BYTES = 128 * KIB;
/** Paths with at least this share of the best rate count as equally fast. */
export const RATE_SAME_SHARE = 0.7;
/** Rate assumed before anything is measured: 1 Gbit/s. */
export const RATE_GUESS_BYTES_PER_MS = 117_000;
/** Cost of a request in addition to its bytes, so that requests without a body are spread, too. */
export const REQUEST_COST_MS = 0.005;
/**
 * Advantage of an idle path over a busy one: the idle path's estimated time is reduced by IDLE_SAME_MS, but never below one part in
 * IDLE_SAME_PART of itself. Smaller differences are mostly chance.
 */
export const IDLE_SAME_MS = 5;
export const IDLE_SAME_PART = 16;
/**
 * A path with bytes in flight for longer than this gets no more requests, unless fewer than AHEAD_MIN_BYTES are in flight. Requests that
 * wait in the trunk can still go to any path.
 */
export const AHEAD_MAX_MS = 500;
export const AHEAD_MIN_BYTES = MIB;
/**
 * A path is overdue if it has been silent for longer than the expected time of its answer, plus OVERDUE_TRIPS round trips, plus this time.
 */
export const OVERDUE_GRACE_MS = 20;
export const OVERDUE_TRIPS = 4;
/**
 * If a path has been unused in one direction for RATE_PROBE_IDLE_MS, it gets a copy of a request that is sent on another path. At most one
 * request in RATE_PROBE_SHARE (client/limits.ts) is copied, and only if the copy takes at most RATE_PROBE_MAX_MS on the unused path. While
 * slots are plentiful, the copy may take longer: one part in RATE_PROBE_TIME_PARTS of the unused time, at most RATE_PROBE_LONGEST_MS.
 */
export const RATE_PROBE_IDLE_MS = 500;
export const RATE_PROBE_MAX_MS = 250;
export const RATE_PROBE_LONGEST_MS = 2000;
export const RATE_PROBE_TIME_PARTS = 8;
/**
 * Lowest estimate of a rate: 1.4 Mbit/s. At this rate a segment takes three quarters of RATE_PROBE_LONGEST_MS, so that every path can be
 * probed again.
 */
export const RATE_MIN_BYTES_PER_MS = SEGMENT_BYTES / (RATE_PROBE_LONGEST_MS * 0.75);
/**
 * A READ is late after HEDGE_FACTOR times the usual duration of READs (mean plus four deviations), but not before HEDGE_MIN_MS. The trunk
 * looks for late READs every HEDGE_LOOK_MS (client/limits.ts).
 */
export const HEDGE_MIN_MS = 30;
export const HEDGE_FACTOR = 3;
/** Weight of one READ in the mean and the deviation. */
export const READ_TIME_GAIN = 1 / 16;
/**
 * If a round trip exceeds the best by less than TRIP_SAME_MS, or is less than twice the best, only one part in TRIP_SAME_PART of the
 * difference counts. On a LAN such differences come mostly from processor scheduling and must not leave a cable unused.
 */
export const TRIP_SAME_MS = 20;
export const TRIP_SAME_PART = 16;
/** Weight of one measured round trip in the estimate. A shorter one weighs more because it is closer to the true value. */
export const TRIP_GAIN_UP = 1 / 8;
export const TRIP_GAIN_DOWN = 1 / 2;

// --- liveness (defaults; heartbeat, suspect and dead can be set per namespace)
/** A path becomes suspect no sooner than after this many round trips (smoothed) without an answer. */
export const SUSPECT_SRTT_FACTOR = 8;
/** A trunk checks its paths this many times within `suspect`, at intervals from LIVENESS_TICK_MIN_MS to LIVENESS_TICK_MAX_MS. */
export const LIVENESS_TICKS_PER_SUSPECT = 4;
export const LIVENESS_TICK_MIN_MS = 5;
export const LIVENESS_TICK_MAX_MS = 50;
/** If the first handshake of a session takes longer than this, a waiting path takes over. The time doubles with each takeover. */
export const FIRST_HANDSHAKE_PATIENCE_MS = 300;

// --- a path that delivers very slowly
/**
 * A request is copied to another path if it has not provably reached the server after this time, or if PONGs on its path are also late by
 * this much. The trunk looks for such requests every LATE_LOOK_MS (client/limits.ts).
 */
export const LATE_MS = 1_000;
