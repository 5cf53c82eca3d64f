// Bounds for the code in rsiod's frontends/devices/ folder. The names of the bounds contain their units. The file src/limits.ts asserts
// that these bounds agree with those of other folders.

/** Time allowed for the users of a device to write their data before the device is forcibly removed. */
export const DEVICE_FORCE_MS = 3_000;
/** Maximum number of processes that an error message names as users of a device. Further processes are only counted. */
export const DEVICE_USERS_NAMED_MAX = 5;
/** Maximum number of open files that rsiod examines in one search for the users of devices. */
export const DEVICE_USERS_LOOKED_MAX = 100_000;

/** A process counts as a user of a device if this many walks through /proc find it. The second number is the pause between two walks. */
export const DEVICE_USERS_LOOKS_MAX = 4;
export const DEVICE_USERS_AGAIN_MS = 150;

/** Interval at which rsiod checks whether there is swap space on its devices. */
export const SWAP_LOOK_MS = 10_000;

/** Pause before the growth of a device is retried after a program that grows devices has failed. */
export const DEVICE_GROW_AGAIN_MS = 5_000;
