// Bounds for the code in rsiod's frontends/loop/ folder. The names of the bounds contain their units. The file src/limits.ts asserts that
// these bounds agree with those of other folders.

export const DEVICE_GONE_WAIT_MS = 5_000;
export const DEVICE_GONE_POLL_MS = 20;

/**
 * rsiod removes unused nodes from /dev once no loop device has been released for LOOP_NODES_QUIET_MS. At most LOOP_NODES_AT_ONCE nodes are
 * removed at a time. The removal of a node is tried up to LOOP_NODES_TRIES times.
 */
export const LOOP_NODES_QUIET_MS = 500;
export const LOOP_NODES_AT_ONCE = 1_024;
export const LOOP_NODES_TRIES = 10;
