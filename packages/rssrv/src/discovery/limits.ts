// Bounds for the code in rssrv's discovery/ folder. Names include the units. Relations that must hold between these bounds and those of
// other folders are asserted in src/limits.ts.

export const KNOWN_ADDRESSES_MAX = 4_096;
/**
 * DISCOVERY_DROPS_LOG_MS is the minimum interval between log lines about unanswered datagrams. DISCOVERY_FACTS_MS is the minimum interval
 * at which a server rereads the speeds and MTUs of its interfaces.
 */
export const DISCOVERY_DROPS_LOG_MS = 60_000;
export const DISCOVERY_FACTS_MS = 10_000;
