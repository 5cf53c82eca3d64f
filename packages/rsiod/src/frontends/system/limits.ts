// Bounds of frontends/system/ in rsiod: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

const KIB = 1024;

/** How long mount, umount and losetup may take, and a device to be gone after that. */
export const DEVICE_COMMAND_TIMEOUT_MS = 10_000;
/** What such a command says that is kept. */
export const DEVICE_COMMAND_OUTPUT_MAX_BYTES = 64 * KIB;
