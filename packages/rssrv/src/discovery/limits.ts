// Bounds for the code in rssrv's discovery/ folder. Names include the units. The file src/limits.ts asserts the relations between these
// bounds and the bounds of other folders.

export const KNOWN_ADDRESSES_MAX = 4_096;
/**
 * Minimum intervals between log lines about unanswered datagrams (DISCOVERY_DROPS_LOG_MS) and between readings of the machine's interfaces
 * (DISCOVERY_FACTS_MS).
 */
export const DISCOVERY_DROPS_LOG_MS = 60_000;
export const DISCOVERY_FACTS_MS = 10_000;
