// Bounds of rsiod's volumes/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

import { DEAD_AFTER_MS, HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { DRAINING_RETRY_MS } from '@rsio/protocol/client/limits';

export const COUNT_MAX = 0xffff;

/**
 * A storage stall begins when the volume's paths are up but none of its I/O has completed for this long. SLOW_STORAGE_LOOK_MS is the
 * interval between checks.
 */
export const SLOW_STORAGE_MS = DEAD_AFTER_MS + 2 * HEARTBEAT_INTERVAL_MS;
export const SLOW_STORAGE_LOOK_MS = SLOW_STORAGE_MS / 5;

/** Maximum length of a file name without its folders. The kernel has the same limit. */
export const FILE_NAME_MAX_BYTES = 255;
/** Time allowed for reconnecting or reopening the volume before I/O fails, when `stall = fail`. */
export const STALL_FAIL_GRACE_MS = 1_000;
/**
 * Interval at which a halted volume checks the time. If a check is late by more than STALL_LATE_MS, this process was not running for a
 * while.
 */
export const STALL_LOOK_MS = 500;
export const STALL_LATE_MS = 100;

/**
 * How long E_DRAINING counts as a sign that the server is slow. It must be long enough for the next attempt (within DRAINING_RETRY_MS) and
 * its handshake.
 */
export const DRAINING_VALID_MS = 3 * DRAINING_RETRY_MS;

/**
 * Maximum number of in-flight requests to one volume whose ranges are not whole blocks. Each such request has a buffer of two blocks.
 * Further requests wait.
 */
export const BYTE_RANGES_OUT_MAX = 64;
/** Maximum number of idle buffers that a volume keeps for requests whose ranges are not whole blocks. */
export const BYTE_RANGES_IDLE_MAX = 8;
