// Bounds of volumes/ in rsiod: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

import { DEAD_AFTER_MS, HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { DRAINING_RETRY_MS } from '@rsio/protocol/client/limits';

export const COUNT_MAX = 0xffff;

/** A volume without any completion for this long, though its paths are up, has a storage stall; and the interval of the looks. */
export const SLOW_STORAGE_MS = DEAD_AFTER_MS + 2 * HEARTBEAT_INTERVAL_MS;
export const SLOW_STORAGE_LOOK_MS = SLOW_STORAGE_MS / 5;

/** Length of a file name without folders, as in the kernel. */
export const FILE_NAME_MAX_BYTES = 255;
/** With `stall = fail`: time for a lost connection to come back, or for a volume to be opened again, before its I/O fails. */
export const STALL_FAIL_GRACE_MS = 1_000;
/** Interval in which a halted volume checks the time; a check that is later than STALL_LATE_MS means that this process did not run. */
export const STALL_LOOK_MS = 500;
export const STALL_LATE_MS = 100;

/** Validity of E_DRAINING as a report that the server is slow. The client asks again within DRAINING_RETRY_MS, and a handshake takes time. */
export const DRAINING_WORD_MS = 3 * DRAINING_RETRY_MS;

/** Requests of a volume for ranges that are not whole blocks under way; each has a buffer of two blocks. Further ones wait in turn. */
export const BYTE_RANGES_OUT_MAX = 64;
/** Idle buffers of this kind that a volume keeps. */
export const BYTE_RANGES_IDLE_MAX = 8;
