// Limits for starting and stopping daemons. The name of each bound contains its unit. Every dependent package asserts in its src/limits.ts
// how its bounds relate to the bounds defined here.

export const DAEMON_START_TIMEOUT_MS = 60_000;
/** Time between SIGTERM and SIGKILL for a daemon that did not become ready in time. */
export const DAEMON_END_GRACE_MS = 2_000;

export const UNIX_PATH_MAX_BYTES = 107;

/** Maximum number of devices that stand on a volume's device, such as partitions and stacked devices. */
export const STACKED_DEVICES_MAX = 64;
/** Maximum number of symbolic links from a path to a block device. */
export const DEVICE_LINKS_MAX = 4;
/** Maximum number of users of a mount that a message names. */
export const MOUNT_USERS_NAMED_MAX = 5;
