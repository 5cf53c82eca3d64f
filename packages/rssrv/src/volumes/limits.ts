// Bounds of rssrv's volumes/ folder: fences. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/**
 * Longest time for which a kick or a fence waits for the end of a session. The listener kills a worker that does not end in less time, so
 * that only a worker whose storage hangs, which cannot be killed, takes longer.
 */
export const SESSION_END_WAIT_MS = 30_000;
/** Maximum number of fenced clients. Fenced clients that were removed from the configuration count as well. */
export const FENCES_MAX = 8_192;
