// Bounds of rsiod's frontends/devices/ folder. Units are in the names.
// src/limits.ts asserts relations to bounds of other folders.

/** A device that is removed by force has this long to write its data. */
export const DEVICE_FORCE_MS = 3_000;
/** Users of a device that a refusal names. Further users are counted. */
export const DEVICE_USERS_NAMED_MAX = 5;
/** Maximum number of open files examined to find the users of a device. */
export const DEVICE_USERS_LOOKED_MAX = 100_000;

/** Interval at which rsiod checks whether the machine swaps to one of its devices. */
export const SWAP_LOOK_MS = 10_000;
