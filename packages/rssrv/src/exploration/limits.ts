// Bounds of exploration/ in rssrv: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

export const KNOWN_ADDRESSES_MAX = 4_096;
/** How often a server logs what it did not answer, at most, and looks again at its interfaces' speeds and MTUs. */
export const DISCOVERY_DROPS_LOG_MS = 60_000;
export const DISCOVERY_FACTS_MS = 10_000;
