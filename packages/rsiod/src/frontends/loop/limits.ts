// Bounds of frontends/loop/ in rsiod: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

export const DEVICE_GONE_WAIT_MS = 5_000;
export const DEVICE_GONE_POLL_MS = 20;

/** Nodes of loop devices that nothing stands behind any more are taken out of /dev together, so long after the last; at most so many, so often tried. */
export const LOOP_NODES_QUIET_MS = 500;
export const LOOP_NODES_AT_ONCE = 1_024;
export const LOOP_NODES_TRIES = 10;
