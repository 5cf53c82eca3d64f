// Bounds of rssrv's probes/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

export const PROBE_CONNECTIONS_MAX = 4;
/** Maximum number of probe connections from one node, so that no node locks out the others. */
export const PROBES_PER_NODE_MAX = 2;
