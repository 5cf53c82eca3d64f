// Bounds of rsiod's frontends/system/ folder. Units are in the names.
// src/limits.ts asserts relations to bounds of other folders.

const KIB = 1024;

/** Timeout of mount, umount and losetup, and of the wait for a device to disappear afterwards. */
export const DEVICE_COMMAND_TIMEOUT_MS = 10_000;
/** Maximum number of bytes kept from the output of such a command. */
export const DEVICE_COMMAND_OUTPUT_MAX_BYTES = 64 * KIB;
