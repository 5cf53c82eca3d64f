// Bounds of rsconfig's freeze/ folder: how long file systems may be frozen, and how many of them.
// Units are in the names.

/** The file systems are thawed after this time at the latest. Programs that write to them wait until then. */
export const FREEZE_MAX_S = 30;
/** Time limit for freezing, which first writes dirty data. If it takes longer, no snapshot is made. */
export const FREEZE_WAIT_MS = 60_000;
/** Time limit for thawing. */
export const THAW_WAIT_MS = 15_000;
/** Maximum number of devices stacked between a volume and a file system. */
export const STACKED_DEVICES_MAX = 64;
/** Maximum number of file systems that are frozen at a time. */
export const FROZEN_MAX = 64;
