// Bounds of frontends/devices/ in rsiod: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

/** A device that is taken away by force is given so long to write what it has. */
export const DEVICE_FORCE_MS = 3_000;
/** Users of a device that a refusal names; the rest is counted. */
export const DEVICE_USERS_NAMED_MAX = 5;
/** Open files that are looked at to find who uses a device. */
export const DEVICE_USERS_LOOKED_MAX = 100_000;

/** How often it is looked whether somebody swaps on a device of ours. */
export const SWAP_LOOK_MS = 10_000;
