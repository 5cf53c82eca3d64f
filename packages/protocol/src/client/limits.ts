// Bounds of the client: trunks, paths, replay log, requests. Units are in the names.
// Invariant: a bound has one place, and bounds that depend on each other are asserted here.

import { SEGMENT_BYTES } from '../link/limits.ts';
import { ADMIN_PER_SESSION_MAX, SLOTS, SLOTS_RESERVED } from '../wire/limits.ts';
import { assert } from '@rsio/base/lib/assert';

const KIB = 1024;
const MIB = 1024 * KIB;

// --- a trunk: reconnecting, recovery, and copies of requests.

/**
 * Maximum number of quarantined slots. If more slots are quarantined, the client closes the suspect path that holds the most quarantined
 * slots (S6).
 */
export const SLOTS_QUARANTINE_MAX = SLOTS / 4;
/**
 * Maximum share that one volume may take of the unreserved slots that the other volumes leave free. The same share applies to the bytes of
 * the window. Two hanging volumes therefore leave about 2 MiB of the window, which a third volume can take.
 */
export const VOLUME_SLOT_SHARE = 0.75;
/**
 * With several volumes, a volume begins with a quota of QUOTA_BEGIN_SLOTS slots, which grows by one after QUOTA_ANSWERS answers. While the
 * server holds its I/O back, for example by a limit, its quota is QUOTA_HELD_SLOTS. So a volume whose requests are answered by a clock cannot
 * take slots for seconds that others could use. The same share of the window belongs to the quota.
 */
export const QUOTA_BEGIN_SLOTS = SLOTS / 8;
export const QUOTA_ANSWERS = 4;
export const QUOTA_HELD_SLOTS = SLOTS / 16;
/** Maximum number of handles that are being revoked at the same time. If one more handle must be revoked, the client leaves the session. */
export const REVOKES_MAX = 64;

/**
 * One of every RATE_PROBE_SHARE requests is also copied to an unused path, to measure the rate of that path. RATE_PROBE_SHARE is prime, so
 * that the copies do not keep step with a repeating pattern of requests.
 */
export const RATE_PROBE_SHARE = 31;
export const HEDGE_LOOK_MS = 10;
/** Maximum number of late READs that are copied to a second path at a time; lower if the server grants fewer slots. */
export const HEDGES_MAX = SLOTS / 16;

/**
 * A server counts as present if it has sent data within the last HEARD_HEARTBEATS heartbeat intervals. While a server is present, the
 * client rejects any other process that claims to be that server.
 */
export const HEARD_HEARTBEATS = 2;
/** While one path performs the first handshake of the trunk, the other paths retry every JOIN_RETRY_MS. */
export const JOIN_RETRY_MS = 100;
/** If a path was up for at least PATH_SETTLED_MS, it reconnects within RECONNECT_FIRST_MS after a failure. */
export const PATH_SETTLED_MS = 500;
export const RECONNECT_FIRST_MS = 20;
export const RECONNECT_MIN_MS = 100;
export const RECONNECT_MAX_MS = 5_000;
/**
 * Growth factor of the wait before a reconnect. With a factor of 1.5, the client notices the end of an outage after at most about half the
 * length of the outage.
 */
export const RECONNECT_GROWTH = 1.5;
/**
 * Growth factor of the wait before a reconnect while no server answers at all. RECONNECT_AWAY_GROWTH is small, because such attempts are
 * cheap, and the client should quickly find a server that returns.
 */
export const RECONNECT_AWAY_GROWTH = 1.05;
/**
 * Time that the client waits after a server has refused its proof (E_AUTH). Each further refusal doubles this wait, up to
 * WRONG_KEY_RETRY_MAX_MS. If the configuration changes, the client connects again at once.
 */
export const WRONG_KEY_RETRY_MIN_MS = 5_000;
export const WRONG_KEY_RETRY_MAX_MS = 30_000;
/** If the server refuses to reopen a volume, the client retries OPEN after REOPEN_RETRY_MS. */
export const REOPEN_RETRY_MS = 1_000;
/**
 * If a volume has become read-only or shared, or its block size has changed, the client opens the volume again after UNFIT_RETRY_MS.
 * UNFIT_RETRY_MS is long, because each attempt uses up a handle number.
 */
export const UNFIT_RETRY_MS = 5_000;
/**
 * If a session has used up its handle numbers, and at most HANDLES_FEW handles are open, the client starts a new session. The client renews
 * the session at most once in SESSION_RENEW_MS.
 */
export const HANDLES_FEW = 512;
export const SESSION_RENEW_MS = 5_000;
/**
 * Maximum number of attempts to CLOSE a detached volume in one session. An attempt to CLOSE fails if the server refuses CLOSE or answers
 * STALE. After the last attempt to CLOSE, the client reports that the hold remains.
 */
export const CLOSE_TRIES_MAX = 10;
export const PROBATION_DEATHS = 3;
export const PROBATION_WINDOW_MS = 60_000;
export const PROBATION_MS = 30_000;

/** A client that received E_DRAINING connects again within DRAINING_RETRY_MS. */
export const DRAINING_RETRY_MS = 1_000;

export const LATE_LOOK_MS = 100;

/** Maximum number of ADMIN calls to one server that wait at the client. Further calls are refused. */
export const ADMIN_CALLS_MAX = 256;
/** Maximum number of ADMIN calls in flight. ADMIN occupies reserved slots, which LIST, OPEN and CLOSE also need. */
export const ADMIN_CALLS_SENT_MAX = 4;
/** An ADMIN call fails if the server is not connected after this time. */
export const ADMIN_UNSENT_MS = 10_000;
/** Maximum number of times that the client requests a long answer again after the server has dropped the answer. */
export const ADMIN_REREADS_MAX = 3;
/** Longest error text of a server. Longer texts are cut off. */
export const ADMIN_MESSAGE_MAX_CHARS = 4_000;

assert(RECONNECT_FIRST_MS < RECONNECT_MIN_MS && RECONNECT_MIN_MS < PATH_SETTLED_MS, 'First tries are short ones');
assert(ADMIN_CALLS_SENT_MAX < SLOTS_RESERVED && ADMIN_CALLS_SENT_MAX < ADMIN_PER_SESSION_MAX, 'Calls leave reserved slots free');
assert(RECONNECT_MIN_MS < RECONNECT_MAX_MS, 'Back-off must grow');

// --- a path: rates, choice of a path, liveness.

// --- a path of a session
/**
 * Time after which an unanswered request is assumed to wait for the server's storage, if a later PING was answered. A request that waits
 * for storage does not count as load of its path.
 */
export const HELD_BY_STORAGE_MS = 2_000;
/**
 * Maximum number of bytes that one path stores for incomplete answers. Answers with several frames, such as a list of all volumes, are
 * stored until they are complete.
 */
export const ANSWER_PARTS_MAX_BYTES = 64 * MIB;
/** Each part adds ANSWER_PART_COST_BYTES, which also bounds the number of empty parts. */
export const ANSWER_PART_COST_BYTES = 256;

// --- choosing a path
/**
 * The rate of a path is measured over periods, called spells. A spell lasts for RATE_SPELL_MS or one round trip, whichever is longer. A
 * spell ends earlier if nothing remains in flight.
 */
export const RATE_SPELL_MS = 20;
/**
 * A spell measures the rate of the path if bytes stay in flight for longer than RATE_FULL_TRIPS round trips, because such bytes wait for
 * the link. Any other spell gives only a lower bound of the rate.
 */
export const RATE_FULL_TRIPS = 2;
/**
 * Maximum weight of one spell in the estimated rate. If a spell would raise the estimate but moved fewer than RATE_RISE_FULL_BYTES, its
 * weight is proportionally lower. The weight is also lower if a spell would lower the estimate but moved fewer than RATE_FALL_FULL_BYTES or
 * was shorter than RATE_SPELL_MS.
 */
export const RATE_GAIN_MAX = 0.5;
export const RATE_RISE_FULL_BYTES = 16 * KIB;
export const RATE_FALL_FULL_BYTES = 64 * KIB;
/**
 * An estimated rate expires if the path is unused for RATE_AGES_MS. Until the rate is measured again, the number of bytes in flight is
 * limited, at first to FLIGHT_FIRST_BYTES.
 */
export const RATE_AGES_MS = 10_000;
export const FLIGHT_FIRST_BYTES = 128 * KIB;
/** Paths with at least RATE_SAME_SHARE of the best rate count as equally fast. */
export const RATE_SAME_SHARE = 0.7;
/** Rate assumed before anything is measured: 1 Gbit/s. */
export const RATE_GUESS_BYTES_PER_MS = 117_000;
/**
 * Each request in flight adds REQUEST_COST_MS to the estimated completion time of its path. Requests without a body are therefore also
 * spread over the paths.
 */
export const REQUEST_COST_MS = 0.005;
/**
 * The estimated completion time of an idle path is reduced by IDLE_SAME_MS, but to no less than 1/IDLE_SAME_PART of the original estimate.
 * Differences of less than IDLE_SAME_MS between completion times are mostly random.
 */
export const IDLE_SAME_MS = 5;
export const IDLE_SAME_PART = 16;
/**
 * A path gets no more requests while at least AHEAD_MIN_BYTES are in flight on it and would take longer than AHEAD_MAX_MS. Further requests
 * wait in the trunk, where any path can take them.
 */
export const AHEAD_MAX_MS = 500;
export const AHEAD_MIN_BYTES = MIB;
/**
 * A path is overdue if its silence exceeds the expected duration of the next answer, plus OVERDUE_TRIPS round trips, plus OVERDUE_GRACE_MS.
 */
export const OVERDUE_GRACE_MS = 20;
export const OVERDUE_TRIPS = 4;
/**
 * If a path has been unused in one direction for RATE_PROBE_IDLE_MS, it gets a copy of a request that is sent on another path. At most one
 * of every RATE_PROBE_SHARE requests is copied. The copy must take at most RATE_PROBE_MAX_MS on the unused path. While more than half of
 * the slots are free, the maximum duration of the copy rises to 1/RATE_PROBE_TIME_PARTS of the path's unused time, but not above
 * RATE_PROBE_LONGEST_MS.
 */
export const RATE_PROBE_IDLE_MS = 500;
export const RATE_PROBE_MAX_MS = 250;
export const RATE_PROBE_LONGEST_MS = 2000;
export const RATE_PROBE_TIME_PARTS = 8;
/**
 * Lowest estimate of a rate: 1.4 Mbit/s. At 1.4 Mbit/s, a segment takes three quarters of RATE_PROBE_LONGEST_MS. Even the slowest path can
 * therefore be probed again.
 */
export const RATE_MIN_BYTES_PER_MS = SEGMENT_BYTES / (RATE_PROBE_LONGEST_MS * 0.75);
/** A READ is late after HEDGE_FACTOR times the usual duration of READs (mean plus four deviations), but not before HEDGE_MIN_MS. */
export const HEDGE_MIN_MS = 30;
export const HEDGE_FACTOR = 3;
/** Weight of one READ in the mean and the deviation of READ durations. */
export const READ_TIME_GAIN = 1 / 16;
/**
 * The round trip of a path is compared with the shortest round trip of all paths. If the difference is at most TRIP_SAME_MS or at most the
 * shortest round trip, only 1/TRIP_SAME_PART of the difference counts. On a LAN, small differences between round trips come mostly from
 * processor scheduling and must not leave a path unused.
 */
export const TRIP_SAME_MS = 20;
export const TRIP_SAME_PART = 16;
/**
 * Weight of one measured round trip in the estimated round trip. A round trip that is shorter than the estimate weighs more, because it is
 * closer to the true value.
 */
export const TRIP_GAIN_UP = 1 / 8;
export const TRIP_GAIN_DOWN = 1 / 2;

// --- liveness (the configuration of a namespace sets heartbeat, suspect and dead)
/**
 * A path becomes suspect only after SUSPECT_SRTT_FACTOR smoothed round trips without an answer, or after half of the configured time `dead`
 * if that is shorter.
 */
export const SUSPECT_SRTT_FACTOR = 8;
/**
 * A trunk checks its paths LIVENESS_TICKS_PER_SUSPECT times within the configured time `suspect`. The interval between two checks is at
 * least LIVENESS_TICK_MIN_MS and at most LIVENESS_TICK_MAX_MS.
 */
export const LIVENESS_TICKS_PER_SUSPECT = 4;
export const LIVENESS_TICK_MIN_MS = 5;
export const LIVENESS_TICK_MAX_MS = 50;
/** If the first handshake of a session takes longer than FIRST_HANDSHAKE_PATIENCE_MS, a waiting path takes over. */
export const FIRST_HANDSHAKE_PATIENCE_MS = 300;

// --- a path that delivers very slowly
/**
 * A request that is unanswered after LATE_MS is copied to another path, unless PONGs arrive in time and prove that the request has reached
 * the server.
 */
export const LATE_MS = 1_000;

// --- replay log.

/**
 * The configured limit `log-total` is divided into LOG_TOTAL_STEPS steps. When more than half of the limit is used, the client flushes the
 * largest log. The client flushes again after each further step.
 */
export const LOG_TOTAL_STEPS = 16;
/** A replay log stores data in aligned blocks of REPLAY_BLOCK_BYTES and allocates the blocks in slabs of REPLAY_SLAB_BLOCKS. */
export const REPLAY_BLOCK_BYTES = 4 * KIB;
export const REPLAY_SLAB_BLOCKS = 64;
/** Memory that a block needs in addition to its data. A zeroed or discarded range needs the same amount of memory. */
export const REPLAY_BLOCK_COST_BYTES = 128;
export const REPLAY_RANGE_COST_BYTES = 128;
/** Maximum number of zeroed or discarded ranges in one log. */
export const REPLAY_RANGES_MAX = 16_384;
/** Maximum number of replay requests in flight; each has a buffer of SEGMENT_BYTES. */
export const REPLAY_REQUESTS_OUT_MAX = 16;

// --- requests and slots.

export const SEGMENT_MIN_BYTES = 128 * KIB;

// --- gate records

/** Time limit of a read or write of a gate record. */
export const GATE_RECORD_TIMEOUT_MS = 10_000;
/** Maximum number of calls about the gate record of a volume, or about the gate records at a server, that wait at the client. */
export const GATE_RECORD_CALLS_MAX = 8;

// --- replacement of encrypted connections (path-renewals.ts)

/**
 * An encrypted connection that has carried this many bytes in one direction is replaced by a connection with new keys. RFC 8446, section
 * 5.5, advises at most TLS_KEY_MAX_BYTES under one key of AES-GCM: 2^24.5 records of 16 KiB.
 */
export const TLS_CONNECTION_MAX_BYTES = 2 ** 38;
const TLS_KEY_MAX_BYTES = 2 ** 38.5;
/** Interval at which a client checks how many bytes its encrypted connections have carried. */
export const RENEWAL_LOOK_MS = 10_000;
/** Upper bound of the throughput of one TLS connection. */
const TLS_BYTES_PER_SECOND = 10 ** 10;

assert(
  TLS_CONNECTION_MAX_BYTES + (RENEWAL_LOOK_MS / 1_000) * TLS_BYTES_PER_SECOND < TLS_KEY_MAX_BYTES,
  'A connection must be replaced before its key has carried too much',
);
