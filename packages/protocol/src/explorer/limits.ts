// Bounds of exploration: discovery, network, probes of paths. Units are in the names.
// Invariant: a bound has one place, and bounds that depend on each other are asserted here.

import { SEGMENT_BYTES } from '../link/limits.ts';
import { assert } from '@rsio/base/lib/assert';

const KIB = 1024;
const MIB = 1024 * KIB;

// --- discovery

/** Largest UDP datagram over IPv4. */
export const DATAGRAM_MAX_BYTES = 65_507;
/** Minimum size of a request; every answer fits in this size. An attacker therefore cannot use a server to amplify a flood. */
export const DISCOVERY_REQUEST_BYTES = 1_360;
export const DISCOVERY_MESSAGE_MAX_BYTES = 1_300;
export const DISCOVERY_NONCE_BYTES = 16;
/** Duration of an exploration. The requests are sent DISCOVERY_ROUNDS times during the first half of an exploration. */
export const DISCOVERY_WAIT_MS = 1_000;
export const DISCOVERY_ROUNDS = 3;
/** Maximum number of addresses that an exploration asks directly, in addition to the broadcasts. */
export const DISCOVERY_TARGETS_MAX = 256;
/** Maximum number of answers that an exploration keeps; later answers are only counted. */
export const DISCOVERY_ANSWERS_MAX = 1_024;
export const FINDINGS_PER_KIND_MAX = 16;
/** Limit on the answers to one address: at first DISCOVERY_BURST_PER_SOURCE without a delay, then DISCOVERY_RATE_PER_SOURCE per second. */
export const DISCOVERY_BURST_PER_SOURCE = 64;
export const DISCOVERY_RATE_PER_SOURCE = 16;
/** Limit on the answers to all unknown addresses together: at first DISCOVERY_BURST without a delay, then DISCOVERY_RATE per second. */
export const DISCOVERY_BURST = 1_024;
export const DISCOVERY_RATE = 256;
/**
 * Answers reserved for known sources: at first DISCOVERY_BURST_KNOWN without a delay, then DISCOVERY_RATE_KNOWN per second. A source is
 * known if its request is signed correctly, or if a client has authenticated from its address.
 */
export const DISCOVERY_BURST_KNOWN = 256;
export const DISCOVERY_RATE_KNOWN = 64;
/** While answers are scarce, a source may have to wait up to this long after its last answer. */
export const DISCOVERY_SCARCE_MS = 10_000;
/**
 * Maximum number of addresses for which a server counts answers. When more addresses ask, the server forgets the address that has been
 * silent longest.
 */
export const DISCOVERY_SOURCES_MAX = 4_096;

// --- UDP sockets, and the list of this machine's interfaces

/** Size of a UDP receive buffer; a broadcast can cause many simultaneous answers. */
export const DATAGRAM_BUFFER_BYTES = MIB;

export const IP_LIST_MAX_BYTES = 4 * MIB;

// --- probes: client and server must observe these bounds

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
