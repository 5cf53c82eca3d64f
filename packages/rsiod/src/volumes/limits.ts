// Bounds of volumes/ in rsiod: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

import { DEAD_AFTER_MS, HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { DRAINING_RETRY_MS } from '@rsio/protocol/client/limits';

export const COUNT_MAX = 0xffff;

/** A volume without any completion for this long, though its paths are up, says for what it waits; looked at so often. */
export const SLOW_STORAGE_MS = DEAD_AFTER_MS + 2 * HEARTBEAT_INTERVAL_MS;
export const SLOW_STORAGE_LOOK_MS = SLOW_STORAGE_MS / 5;

/** Of one file's name, without folders; as the kernel has it. */
export const FILE_NAME_MAX_BYTES = 255;
/** With `stall = fail`: so long a lost connection may take to come back, and a volume to be opened again, before its I/O fails. */
export const STALL_FAIL_GRACE_MS = 1_000;
/** How often a halted volume looks at the time, and by how much a look must be late for rsiod to have stood still. */
export const STALL_LOOK_MS = 500;
export const STALL_LATE_MS = 100;

/** So long a client takes E_DRAINING for the word of such a server; it asks again within DRAINING_RETRY_MS, and a handshake takes its time. */
export const DRAINING_WORD_MS = 3 * DRAINING_RETRY_MS;

/** Requests of a volume for what is not whole blocks under way; each has a buffer of two blocks. More wait in turn. */
export const BYTE_RANGES_OUT_MAX = 64;
/** Such buffers that a volume keeps when they are idle. */
export const BYTE_RANGES_IDLE_MAX = 8;
