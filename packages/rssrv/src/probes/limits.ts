// Bounds for the code in rssrv's probes/ folder. Names include the units. The file src/limits.ts asserts the relations between these bounds
// and the bounds of other folders.

export const PROBE_CONNECTIONS_MAX = 4;
/** Maximum number of probe connections from one node, so that no node can lock out others. */
export const PROBES_PER_NODE_MAX = 2;
