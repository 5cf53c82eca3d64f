// Bounds of imports: files and devices that become volumes of pools. Names include the units.
// copies/limits.ts bounds the program that converts, and jobs/limits.ts says how many jobs run.

/** Bytes that are read at a time. */
export const IMPORT_PIECE_BYTES = 1024 * 1024;
/** Bytes after which what was written is made durable, and the room of the pool is looked at. */
export const IMPORT_SYNC_BYTES = 64 * 1024 * 1024;
