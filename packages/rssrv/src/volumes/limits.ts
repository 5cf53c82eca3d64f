// Bounds of rssrv's volumes/ folder: fences. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/**
 * Time that an order to kick or to fence a client waits for the end of its session. It is longer than the time after which a server process
 * that does not end is killed, so that it is exceeded only by a process that cannot be killed because its storage hangs.
 */
export const SESSION_END_WAIT_MS = 30_000;
/** Clients that are fenced at a time. Names of clients that were removed since count, too. */
export const FENCES_MAX = 8_192;
