// Bounds of rsiod's frontends/devices/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Time for the users of a device to write their data before the device is removed by force. */
export const DEVICE_FORCE_MS = 3_000;
/** Maximum number of a device's users that an error message names. Further users are only counted. */
export const DEVICE_USERS_NAMED_MAX = 5;
/** Maximum number of open files examined to find the users of a device. */
export const DEVICE_USERS_LOOKED_MAX = 100_000;

/** Interval at which rsiod checks for swap space on its devices. */
export const SWAP_LOOK_MS = 10_000;
