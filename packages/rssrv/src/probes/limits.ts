// Bounds for the code in rssrv's probes/ folder. Names include the units. Relations that must hold between these bounds and those of other
// folders are asserted in src/limits.ts.

export const PROBE_CONNECTIONS_MAX = 4;
/** Maximum number of probe connections from one node, so that no node can lock out the other nodes. */
export const PROBES_PER_NODE_MAX = 2;
