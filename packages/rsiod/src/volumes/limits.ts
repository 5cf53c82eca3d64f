// Bounds of rsiod's volumes/ folder. Units are in the names.
// src/limits.ts asserts relations to bounds of other folders.

import { DEAD_AFTER_MS, HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { DRAINING_RETRY_MS } from '@rsio/protocol/client/limits';

export const COUNT_MAX = 0xffff;

/**
 * A volume has a storage stall when its paths are up but none of its I/O completes for this long. SLOW_STORAGE_LOOK_MS: interval of the
 * checks.
 */
export const SLOW_STORAGE_MS = DEAD_AFTER_MS + 2 * HEARTBEAT_INTERVAL_MS;
export const SLOW_STORAGE_LOOK_MS = SLOW_STORAGE_MS / 5;

/** Maximum length of a file name without folders; the kernel has the same limit. */
export const FILE_NAME_MAX_BYTES = 255;
/** With `stall = fail`: time to reconnect, or to open the volume again, before I/O fails. */
export const STALL_FAIL_GRACE_MS = 1_000;
/**
 * Interval at which a halted volume checks the time. If a check is late by more than STALL_LATE_MS, this process was not running for a
 * while.
 */
export const STALL_LOOK_MS = 500;
export const STALL_LATE_MS = 100;

/**
 * How long E_DRAINING counts as a sign that the server is slow. The client tries again within DRAINING_RETRY_MS, and a handshake takes
 * time.
 */
export const DRAINING_VALID_MS = 3 * DRAINING_RETRY_MS;

/**
 * Maximum number of in-flight requests of a volume for ranges that are not whole blocks. Each such request has a buffer of two blocks.
 * Further requests wait.
 */
export const BYTE_RANGES_OUT_MAX = 64;
/** Maximum number of idle buffers for such ranges that a volume keeps. */
export const BYTE_RANGES_IDLE_MAX = 8;
