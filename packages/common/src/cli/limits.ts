// Bounds of the command-line programs. The name of each bound contains its unit. A bound that only one program needs is in a limits.ts file
// of that program.

/**
 * Default (WAIT_MS) and maximum (WAIT_MAX_MS) duration of --wait. The maximum is below 2^31 ms, because no timer can wait for 2^31 ms or
 * longer.
 */
export const WAIT_MS = 60_000;
export const WAIT_MAX_MS = 604_800_000;
