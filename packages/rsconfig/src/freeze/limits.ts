// Bounds of rsconfig's freeze/ folder: how long file systems may be frozen, and how many of them.
// Units are in the names.

/** Time after which the file systems are thawed, whatever happens. Programs that write to them wait meanwhile. */
export const FREEZE_MAX_S = 30;
/** Time within which they must be frozen: what is in memory is written first. Then a moment is not asked for. */
export const FREEZE_WAIT_MS = 60_000;
/** Time within which they must be thawed. */
export const THAW_WAIT_MS = 15_000;
/** Devices between a volume and a file system. */
export const STACKED_DEVICES_MAX = 64;
/** File systems that are frozen at a time. */
export const FROZEN_MAX = 64;
