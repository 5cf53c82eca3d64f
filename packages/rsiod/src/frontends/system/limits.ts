// Bounds of rsiod's frontends/system/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

const KIB = 1024;

/** Timeout for mount, umount and losetup, and for the device to disappear afterwards. */
export const DEVICE_COMMAND_TIMEOUT_MS = 10_000;
/** Maximum number of bytes kept from the output of mount, umount or losetup. */
export const DEVICE_COMMAND_OUTPUT_MAX_BYTES = 64 * KIB;
