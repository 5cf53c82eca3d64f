// Bounds of rssrv's discovery/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

export const KNOWN_ADDRESSES_MAX = 4_096;
/**
 * DISCOVERY_DROPS_LOG_MS: minimum interval between log lines about unanswered datagrams. DISCOVERY_FACTS_MS: interval at which a server
 * reads the speeds and MTUs of its interfaces again.
 */
export const DISCOVERY_DROPS_LOG_MS = 60_000;
export const DISCOVERY_FACTS_MS = 10_000;
