// Bounds of replication, for all folders in this one. Units are in the names. Invariant: each bound is defined once, and relations between
// bounds are asserted here.

import {
  REPLICATION_EVERY_MIN_MS,
  REPLICATION_MOMENTS_MAX,
  REPLICATION_TEXT_MAX_CHARS,
  REPLICATION_VOLUMES_MAX,
} from '@rsio/common/control/limits';
import { PEERS_MAX } from '@rsio/common/config/schema/limits';
import { assert } from '@rsio/base/lib/assert';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { ADMIN_CALLS_SENT_MAX } from '@rsio/protocol/client/limits';
import { SEGMENT_BYTES, WINDOW_BYTES } from '@rsio/protocol/link/limits';
import { SNAPSHOT_GROUP_MAX, SNAPSHOTS_MAX } from '../pools/limits.ts';
import { MIRROR_SUM_PIECE_SECTORS_MAX, MIRROR_SUMS_SECTORS_MAX, SUMS_PER_HANDLE_MAX } from '@rsio/protocol/wire/limits';

const MIB = 1024 * 1024;

// --- peers: the processes with the connections to other servers, and pulls of snapshots from there.

/** Maximum number of pulls and of calls of one peer that have not ended. Further ones are refused. */
export const PULLS_PER_PEER_MAX = 4;
export const CALLS_PER_PEER_MAX = 16;
/** Maximum number of pulls of one peer without a base at the same time. They take long, and the others get the other turns. */
export const WHOLE_PULLS_PER_PEER_MAX = 2;
/** Maximum number of calls of one peer at the same time for replications. Each further call waits for its turn. */
export const LANE_CALLS_PER_PEER_MAX = 3;
/** Longest answer of a peer to a call, as JSON text. */
export const PEER_ANSWER_MAX_CHARS = 8 * MIB;
/** Longest text about a peer that its process sends. Longer texts are cut off. */
export const PEER_TEXT_MAX_CHARS = 2_000;
/** If the process of a peer does not answer a call within its time plus this time, the call fails. */
export const PEER_ANSWER_GRACE_MS = 5_000;
/**
 * Back-off after the process of a peer has ended. If the process was connected at least PEER_SETTLED_MS before, the back-off begins again at
 * its minimum. A peer whose answers end the process soon after each connection costs no more than the longest back-off allows.
 */
export const PEER_RESTART_MIN_MS = 200;
export const PEER_RESTART_MAX_MS = 30_000;
export const PEER_SETTLED_MS = 3_000;
/** Time within which the process of a peer must end by itself when it is told to. Then it is killed. */
export const PEER_STOP_MS = 3_000;
/** Time within which a cancelled pull must have stopped to write. Then the process of the peer is killed. */
export const PULL_CANCEL_MS = 10_000;
/** Maximum number of snapshots that are remembered as open at peers. */
export const OPEN_SNAPSHOTS_MAX = 256;
/** Snapshots that an earlier process has left open are closed this long after the connection began, unless a pull has opened them again. */
export const PEER_RELEASE_AFTER_MS = 5_000;
/** When the process of a peer is told to end, it waits at most this long until the peer has confirmed that its snapshots are closed. */
export const PEER_CLOSE_MS = 1_500;
/** Last characters of the output of a process that are kept for the log. */
export const PEER_OUTPUT_MAX_CHARS = 1_000;
/** Changes of the state of a connection within this time are reported together. */
export const PEER_REPORT_MS = 50;

/** A pull fails if it can send nothing for this time, because the peer has no path or does not open the snapshot. */
export const PULL_PATIENCE_MS = 30_000;
/** A pull fails if requests are in flight, and none of them ends within this time. */
export const PULL_SILENT_MS = 120_000;
export const PULL_LOOK_MS = 500;
/** A pull with a limit of bandwidth may catch up on this time, so that late timers do not make it slower than its limit. */
export const PULL_CREDIT_MS = 100;
/** Maximum number of bytes of one pull that are requested from the peer and not written yet. */
export const PULL_WINDOW_BYTES = 16 * MIB;
/** Maximum number of such bytes of all pulls from all peers together. */
export const PULLED_MAX_BYTES = 512 * MIB;
export const PULL_PIECE_BYTES = SEGMENT_BYTES;
/** A pull that compares asks for the sums of this range at a time, one sum for each PULL_SUM_BYTES, and has this number of ranges in work. */
export const PULL_COMPARE_BYTES = MIRROR_SUMS_SECTORS_MAX * SECTOR_BYTES;
export const PULL_SUM_BYTES = MIRROR_SUM_PIECE_SECTORS_MAX * SECTOR_BYTES;
export const PULL_COMPARES_AT_ONCE = SUMS_PER_HANDLE_MAX;
/** Maximum length of one hole that is made at a time, and maximum number of these steps in progress. */
export const PULL_HOLE_BYTES = 256 * MIB;
export const PULL_HOLES_AT_ONCE = 2;
/** While a pull knows at least this number of ranges that it has not begun, it asks the peer for no more ranges. */
export const PULL_RANGES_AHEAD = 4_096;
/** Longest range for which a pull asks at a time what has changed, and what has data. */
export const PULL_ASK_BYTES = 64 * 1024 * MIB;

assert(PEER_CLOSE_MS < PEER_STOP_MS, 'A process must have time to close its snapshots before it is killed');
assert(PULL_WINDOW_BYTES <= WINDOW_BYTES, 'The window of a pull must fit in the window of its session');
assert(PEERS_MAX * PULLS_PER_PEER_MAX * PULL_WINDOW_BYTES <= PULLED_MAX_BYTES, 'All pulls together must fit in their memory');
assert(WHOLE_PULLS_PER_PEER_MAX < PULLS_PER_PEER_MAX, 'Pulls without a base must leave turns to the others');
assert(LANE_CALLS_PER_PEER_MAX < ADMIN_CALLS_SENT_MAX, 'A poll must not wait for calls of replications');
assert(ADMIN_CALLS_SENT_MAX < CALLS_PER_PEER_MAX, 'A command must not be refused because of replications');
assert(2 * PULL_COMPARES_AT_ONCE * PULL_COMPARE_BYTES <= PULL_WINDOW_BYTES, 'What is compared, and read again, must fit in the window');
assert(PULL_PIECE_BYTES % PULL_SUM_BYTES === 0, 'Whole sums must fill a piece');
assert(PULL_WINDOW_BYTES % PULL_PIECE_BYTES === 0, 'Whole pieces must fill the window');

// --- followers and sources.

/** Interval between two polls of a peer for its orders. */
export const REPLICATION_POLL_MS = 5_000;
/** Longest time for which a poll, a new moment, or the confirmation of a moment may take. */
export const REPLICATION_CALL_MS = 120_000;
/** Delay before a failed step is tried again; each further failure doubles the delay, up to the longest one. */
export const REPLICATION_RETRY_MS = 2_000;
export const REPLICATION_RETRY_MAX_MS = 60_000;
/** Longest pause between two looks at a replication, because clocks may be set. */
export const REPLICATION_LOOK_MS = 30_000;
/** A server of a mirror that lacks moments for less than this time may have them at the next poll. */
export const AHEAD_MIN_MS = 15_000;
/** Time beyond two intervals after which a mirror without a new moment is a problem. */
export const HOLDER_LATE_MS = 60_000;
/** Time limit of a step in a pool of followers. */
export const FOLLOWER_STEP_MS = 60_000;
/** Longest text of a report to the source. A longer text is cut off. */
export const REPORT_TEXT_MAX_CHARS = 300;

/** Maximum number of replications from this server. */
export const REPLICATIONS_MAX = 256;
/** A replication counts as absent if the server that copies has not polled for this time. */
export const REPLICATION_SILENT_MS = 30_000;
/** Shortest time from one moment to the next one. It is less than the shortest interval, because clocks differ. */
export const MOMENT_INTERVAL_MS = 500;
/** Maximum number of snapshots that one confirmation removes, because other changes wait for it. The next confirmation removes more. */
export const MOMENT_REMOVALS_MAX = 64;
/** Maximum number of snapshots in the answer to a poll, of all replications together. Each replication has the same share. */
export const POLL_SNAPSHOTS_MAX = 16_384;
/** Longest time for which the check before a hand-over may take, which takes no turn in the queue of changes. */
export const HAND_OVER_CHECK_MS = 10_000;
/** Time after a refused hand-over until the source is asked again, while it is still wanted. */
export const GRANT_AGAIN_MS = 30_000;
/** Time for which a hand-over waits for a moment in the making, and interval at which it tries again. */
export const HAND_OVER_PATIENCE_MS = 30_000;
export const HAND_OVER_RETRY_MS = 200;

assert(AHEAD_MIN_MS > 2 * REPLICATION_POLL_MS, 'A server that was polled before another one is not behind it');
assert(REPLICATION_VOLUMES_MAX === SNAPSHOT_GROUP_MAX, 'A moment has as many snapshots as can be made at once');
assert(REPLICATION_MOMENTS_MAX >= SNAPSHOTS_MAX, 'An order must have room for all moments of a volume');
assert(REPORT_TEXT_MAX_CHARS <= REPLICATION_TEXT_MAX_CHARS, 'The source must accept each report');
assert(MOMENT_INTERVAL_MS < REPLICATION_EVERY_MIN_MS, 'A moment that is due must be permitted');
