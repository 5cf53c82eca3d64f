// Bounds for the code in rssrv's discovery/ folder. Names include the units. The file src/limits.ts asserts the relations between these
// bounds and the bounds of other folders.

export const KNOWN_ADDRESSES_MAX = 4_096;
/**
 * DISCOVERY_DROPS_LOG_MS is the minimum interval between log lines about unanswered datagrams. DISCOVERY_FACTS_MS is the minimum interval
 * between readings of the machine's interfaces.
 */
export const DISCOVERY_DROPS_LOG_MS = 60_000;
export const DISCOVERY_FACTS_MS = 10_000;
