// Bounds of rsiod's frontends/loop/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

export const DEVICE_GONE_WAIT_MS = 5_000;
export const DEVICE_GONE_POLL_MS = 20;

/**
 * Unused loop device nodes are removed from /dev in batches of at most LOOP_NODES_AT_ONCE, LOOP_NODES_QUIET_MS after the last one was
 * released. Each removal is tried up to LOOP_NODES_TRIES times.
 */
export const LOOP_NODES_QUIET_MS = 500;
export const LOOP_NODES_AT_ONCE = 1_024;
export const LOOP_NODES_TRIES = 10;
