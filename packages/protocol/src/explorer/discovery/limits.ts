// Bounds of discovery. Units are in the names.
// src/limits.ts asserts their relations to bounds of other folders.

/** Largest datagram that UDP can carry over IPv4. */
export const DATAGRAM_MAX_BYTES = 65_507;
/** Minimum size of a request; every answer fits in this size. A server therefore cannot be used to flood a third machine. */
export const DISCOVERY_REQUEST_BYTES = 1_360;
export const DISCOVERY_MESSAGE_MAX_BYTES = 1_300;
export const DISCOVERY_NONCE_BYTES = 16;
/** Duration of an exploration. Its first half sends the requests DISCOVERY_ROUNDS times. */
export const DISCOVERY_WAIT_MS = 1_000;
export const DISCOVERY_ROUNDS = 3;
/** Maximum number of addresses that an exploration asks directly, in addition to the broadcasts. */
export const DISCOVERY_TARGETS_MAX = 256;
/** Maximum number of answers that an exploration keeps. Later answers are only counted. */
export const DISCOVERY_ANSWERS_MAX = 1_024;
/** Maximum number of findings kept for each kind. Further findings of that kind are only counted. */
export const FINDINGS_PER_KIND_MAX = 16;
/** Answers that a server sends to one address: DISCOVERY_BURST_PER_SOURCE at once, then DISCOVERY_RATE_PER_SOURCE a second. */
export const DISCOVERY_BURST_PER_SOURCE = 64;
export const DISCOVERY_RATE_PER_SOURCE = 16;
/** Answers that a server sends to all unknown addresses together: DISCOVERY_BURST at once, then DISCOVERY_RATE a second. */
export const DISCOVERY_BURST = 1_024;
export const DISCOVERY_RATE = 256;
/**
 * Answers reserved for known sources: DISCOVERY_BURST_KNOWN at once, then DISCOVERY_RATE_KNOWN a second. A source is known if it signs correctly
 * or if a client has authenticated from its address.
 */
export const DISCOVERY_BURST_KNOWN = 256;
export const DISCOVERY_RATE_KNOWN = 64;
/** While answers are scarce, a source that received one within this time may have to wait. */
export const DISCOVERY_SCARCE_MS = 10_000;
/** Number of addresses whose answers a server counts. When more ask, the server removes the address that asked least recently. */
export const DISCOVERY_SOURCES_MAX = 4_096;
