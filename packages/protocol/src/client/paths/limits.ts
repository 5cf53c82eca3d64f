// Bounds of a path: rates, choice, liveness: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

import { SEGMENT_BYTES } from '../../link/limits.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

// --- session
/** What the server has, as a PONG shows, and has not answered for so long waits for its storage, and counts as load of its path no more. */
export const HELD_BY_STORAGE_MS = 2_000;
/** Parts of answers that come in several frames (a list of all volumes), kept for one path. */
export const ANSWER_PARTS_MAX_BYTES = 64 * MIB;
/** What a part takes besides its own bytes, so that empty ones have a bound too. */
export const ANSWER_PART_COST_BYTES = 256;

// --- choosing a path
/** A path's rate is looked at in spells of this length, or of a round trip if that is longer, or until nothing is out on it any more. */
export const RATE_SPELL_MS = 20;
/** What is out waits for the link when it takes longer than so many round trips: then a spell shows how fast the path is, else at least how. */
export const RATE_FULL_TRIPS = 2;
/** How much one spell may move the estimate; one with less than these bytes, or (down) shorter than RATE_SPELL_MS, moves it in proportion. */
export const RATE_GAIN_MAX = 0.5;
export const RATE_RISE_FULL_BYTES = 16 * KIB;
export const RATE_FALL_FULL_BYTES = 64 * KIB;
/** An estimate of a path that was not used for so long is not relied on: until measured again little is out on it at a time, first this. */
export const RATE_AGES_MS = 10_000;
export const FLIGHT_FIRST_BYTES = 128 * KIB;
/** Paths of at least this share of the best rate count as equally fast. */
export const RATE_SAME_SHARE = 0.7;
/** Assumed while nothing at all is measured: 1 Gbit/s. */
export const RATE_GUESS_BYTES_PER_MS = 117_000;
/** What any request costs beside its bytes: so that those without any are spread too. */
export const REQUEST_COST_MS = 0.005;
/** An idle path is used beside a busy one though it takes so much longer: a difference so small is mostly chance. */
export const IDLE_SAME_MS = 5;
export const IDLE_SAME_PART = 16;
/** More than this is not put ahead on one path, but for so many bytes: what waits in the trunk can still go anywhere. */
export const AHEAD_MAX_MS = 500;
export const AHEAD_MIN_BYTES = MIB;
/** A path is overdue when it was silent for this and so many round trips longer than its answer takes by its rate. */
export const OVERDUE_GRACE_MS = 20;
export const OVERDUE_TRIPS = 4;
/**
 * A path that was not used for this long in one direction gets a copy of a request that goes elsewhere, of one among so many at most, if that
 * takes no longer than this there; while slots are plenty, no longer than such a part of the time for which it was not used, up to a bound.
 */
export const RATE_PROBE_IDLE_MS = 500;
export const RATE_PROBE_MAX_MS = 250;
export const RATE_PROBE_LONGEST_MS = 2000;
export const RATE_PROBE_TIME_PARTS = 8;
/** No path is taken for slower, so that the time for a copy is found: 1.4 Mbit/s, by which a segment takes three quarters of the longest. */
export const RATE_MIN_BYTES_PER_MS = SEGMENT_BYTES / (RATE_PROBE_LONGEST_MS * 0.75);
/** A READ is late after this, and after so many times what READs take (mean and four deviations); looked for so often. */
export const HEDGE_MIN_MS = 30;
export const HEDGE_FACTOR = 3;
/** How far one READ moves the mean and the deviation. */
export const READ_TIME_GAIN = 1 / 16;
/**
 * Round trips that are longer than the best by less than this, or than twice the best, count for one part of so many: on a LAN they are mostly
 * the chance of a processor, and must not leave a cable unused.
 */
export const TRIP_SAME_MS = 20;
export const TRIP_SAME_PART = 16;
/** How far one measured round trip moves the estimate: a shorter one is nearer to the truth. */
export const TRIP_GAIN_UP = 1 / 8;
export const TRIP_GAIN_DOWN = 1 / 2;

// --- liveness (defaults; heartbeat, suspect and dead can be set per namespace)
export const SUSPECT_SRTT_FACTOR = 8;
/** How often a trunk looks at its paths: so often within `suspect`, but within these bounds. */
export const LIVENESS_TICKS_PER_SUSPECT = 4;
export const LIVENESS_TICK_MIN_MS = 5;
export const LIVENESS_TICK_MAX_MS = 50;
/** While the first handshake of a session takes longer than this, a path that waits for it takes over; doubling each time. */
export const FIRST_HANDSHAKE_PATIENCE_MS = 300;

// --- a path that trickles
/** Whatever has not reached the server after this, or whose answer is behind PONGs that are so late, goes out on another path too; looked for so often. */
export const LATE_MS = 1_000;
