// The bounds that rssrv's probes/ folder uses, with units in their names. The assertions in src/limits.ts compare these bounds with those
// of other folders.

export const PROBE_CONNECTIONS_MAX = 4;
/** Maximum number of probe connections from one node, so that no node can lock out the other nodes. */
export const PROBES_PER_NODE_MAX = 2;
