// Bounds of discovery: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

/** Largest datagram that UDP can carry over IPv4. */
export const DATAGRAM_MAX_BYTES = 65_507;
/** Every request is padded to this at least, and every answer fits in it, so that nobody can be flooded through a server. */
export const DISCOVERY_REQUEST_BYTES = 1_360;
export const DISCOVERY_MESSAGE_MAX_BYTES = 1_300;
export const DISCOVERY_NONCE_BYTES = 16;
/** How long an exploration listens; the requests are sent DISCOVERY_ROUNDS times in its first half. */
export const DISCOVERY_WAIT_MS = 1_000;
export const DISCOVERY_ROUNDS = 3;
/** Addresses that are asked besides the broadcasts. */
export const DISCOVERY_TARGETS_MAX = 256;
/** Answers that an exploration takes; what comes later is counted. */
export const DISCOVERY_ANSWERS_MAX = 1_024;
/** Findings of one kind; past it they are counted. */
export const FINDINGS_PER_KIND_MAX = 16;
/** Answers of a server to one address: at once, and each second after that. */
export const DISCOVERY_BURST_PER_SOURCE = 64;
export const DISCOVERY_RATE_PER_SOURCE = 16;
/** Answers of a server to all strangers together: at once, and each second after that. */
export const DISCOVERY_BURST = 1_024;
export const DISCOVERY_RATE = 256;
/** Besides these those to who signs rightly, or asks from an address from which somebody has proved itself, and how many of such are known. */
export const DISCOVERY_BURST_KNOWN = 256;
export const DISCOVERY_RATE_KNOWN = 64;
/** When next to no answers are left, who had one within this time gets none. */
export const DISCOVERY_SCARCE_MS = 10_000;
/** Addresses whose answers are counted; past it the one that asked longest ago is forgotten. */
export const DISCOVERY_SOURCES_MAX = 4_096;
