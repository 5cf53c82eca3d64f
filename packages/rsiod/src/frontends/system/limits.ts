// Bounds for the code in rsiod's frontends/system/ folder. The names of the bounds contain their units. The file src/limits.ts asserts that
// these bounds agree with those of other folders.

const KIB = 1024;

/** Timeout for each run of a program such as mount, umount or losetup, and for the kernel's first request after a mount. */
export const DEVICE_COMMAND_TIMEOUT_MS = 10_000;
/** Maximum number of bytes that rsiod keeps from the output of a program such as mount. */
export const DEVICE_COMMAND_OUTPUT_MAX_BYTES = 64 * KIB;
