// Bounds for the code in rsiod's volumes/ folder. Names include the units. The file src/limits.ts asserts the relations between these
// bounds and the bounds of other folders.

import { DEAD_AFTER_MS, HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { DRAINING_RETRY_MS } from '@rsio/protocol/client/limits';

export const COUNT_MAX = 0xffff;

/**
 * A storage stall begins when the volume has paths but none of its I/O has completed for the time SLOW_STORAGE_MS. SLOW_STORAGE_LOOK_MS is
 * the interval between checks for a stall.
 */
export const SLOW_STORAGE_MS = DEAD_AFTER_MS + 2 * HEARTBEAT_INTERVAL_MS;
export const SLOW_STORAGE_LOOK_MS = SLOW_STORAGE_MS / 5;

/**
 * After each BUSY_POLL_LOOK_MS of polling, rsiod checks its share of the core. The share is the processor time of rsiod divided by the time
 * spent polling. If the share is less than BUSY_POLL_CORE_SHARE_MIN, polling (`busy-poll`) stops for BUSY_POLL_REST_MS. If no other program
 * uses the core, the kernel's threads take a few percent of it; a second busy program takes half.
 */
export const BUSY_POLL_LOOK_MS = 10;
export const BUSY_POLL_CORE_SHARE_MIN = 0.75;
export const BUSY_POLL_REST_MS = 250;
/**
 * With `busy-poll = auto`, rsiod polls for at most BUSY_POLL_AUTO_US after an I/O, which is as long as KVM polls before a virtual processor
 * sleeps. If polls without I/O have taken BUSY_POLL_VAIN_MS and BUSY_POLL_VAIN_SHARE of the other polls within BUSY_POLL_VAIN_SPAN_MS, rsiod
 * does not poll for the rest of this span: a program or a server is slower than polling would help.
 */
export const BUSY_POLL_AUTO_US = 200;
export const BUSY_POLL_VAIN_MS = 10;
export const BUSY_POLL_VAIN_SHARE = 1 / 8;
export const BUSY_POLL_VAIN_SPAN_MS = 1_000;

/** The kernel's maximum length of a file name without its directories. */
export const FILE_NAME_MAX_BYTES = 255;
/** With the configured value `stall = fail`, the client has this much time to reconnect or to reopen the volume before I/O fails. */
export const STALL_FAIL_GRACE_MS = 1_000;
/** Interval at which a halted volume checks the time. If a check is more than STALL_LATE_MS late, rsiod was not running. */
export const STALL_LOOK_MS = 500;
export const STALL_LATE_MS = 100;

/**
 * For this time after the error E_DRAINING, the client treats the server as reachable but slow. The time must be long enough for the next
 * connection attempt, which follows within DRAINING_RETRY_MS, and for its handshake.
 */
export const DRAINING_VALID_MS = 3 * DRAINING_RETRY_MS;

/** Maximum number of requests with partly covered blocks that are in flight for one volume; each request needs a buffer of two blocks. */
export const BYTE_RANGES_OUT_MAX = 64;
/** Maximum number of idle buffers that a volume keeps for requests with partly covered blocks. */
export const BYTE_RANGES_IDLE_MAX = 8;

/**
 * Frontends can offer at most OLDER_SNAPSHOTS_MAX older snapshots of a volume. OLDER_SNAPSHOTS_WAIT_MS is the time limit for each request
 * to the server for a part of the list of older snapshots.
 */
export const OLDER_SNAPSHOTS_MAX = 1_000;
export const OLDER_SNAPSHOTS_WAIT_MS = 10_000;
/** Number of attempts to read the list of older snapshots. An attempt fails if a snapshot is removed from the list during the attempt. */
export const OLDER_SNAPSHOTS_TRIES_MAX = 3;
