// Bounds of discovery; each name includes the unit. The assertions in src/limits.ts
// check these bounds against the bounds of other folders.

/** Largest datagram that UDP can carry over IPv4. */
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
/** Limit on the answers to one address: a burst of DISCOVERY_BURST_PER_SOURCE, then DISCOVERY_RATE_PER_SOURCE per second. */
export const DISCOVERY_BURST_PER_SOURCE = 64;
export const DISCOVERY_RATE_PER_SOURCE = 16;
/** Limit on the answers to all unknown addresses together: a burst of DISCOVERY_BURST, then DISCOVERY_RATE per second. */
export const DISCOVERY_BURST = 1_024;
export const DISCOVERY_RATE = 256;
/**
 * Answers reserved for known sources: a burst of DISCOVERY_BURST_KNOWN, then DISCOVERY_RATE_KNOWN per second. A source is known if its
 * request is signed correctly, or if a client has authenticated from its address.
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
