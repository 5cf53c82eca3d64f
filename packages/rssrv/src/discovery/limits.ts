// Bounds for the code in rssrv's discovery/ folder. Names include the units. Assertions in src/limits.ts check that these bounds are
// consistent with those of other folders.

export const KNOWN_ADDRESSES_MAX = 4_096;
/**
 * DISCOVERY_DROPS_LOG_MS is the minimum interval between log lines about unanswered datagrams. DISCOVERY_FACTS_MS is the minimum interval
 * at which a server rereads the speeds and MTUs of its interfaces.
 */
export const DISCOVERY_DROPS_LOG_MS = 60_000;
export const DISCOVERY_FACTS_MS = 10_000;
