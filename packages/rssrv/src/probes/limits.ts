// Bounds of probes/ in rssrv: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

export const PROBE_CONNECTIONS_MAX = 4;
/** Of them for one node, so that none keeps all the others out. */
export const PROBES_PER_NODE_MAX = 2;
