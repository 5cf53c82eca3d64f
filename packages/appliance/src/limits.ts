// Bounds of the appliance/ folder.
// The name of each bound contains its unit.

/** Longest time of a program that only looks, or changes something at once. */
export const APPLIANCE_PROGRAM_MAX_MS = 120_000;
/** Longest time of making an array or a file system, and of copying a system. */
export const APPLIANCE_LONG_MAX_MS = 1_800_000;
/** How long, and how often, a confirmation tries to get at the slots; less than rsio-confirm.service allows. */
export const CONFIRM_WAIT_MAX_MS = 300_000;
export const CONFIRM_RETRY_MS = 500;
export const APPLIANCE_OUTPUT_MAX_BYTES = 4 * 1024 * 1024;
/** Maximum size of a file with a configuration. */
export const SAVED_CONFIG_MAX_BYTES = 8 * 1024 * 1024;
export const APPLIANCE_LIST_MAX_ENTRIES = 64;
/** Part of a system that is written or read at once. */
export const SYSTEM_PART_BYTES = 1024 * 1024;
