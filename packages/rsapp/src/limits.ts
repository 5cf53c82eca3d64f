// Bounds of rsapp. The name of each bound contains its unit. The times that an administrator may change are keys of [application]; their
// ranges are in common/src/config/schema/limits.ts.

import { assert } from '@rsio/base/lib/assert';
import { APPLICATION_START_DELAY_MIN_MS } from '@rsio/common/config/schema/limits';

/** Interval at which rsapp looks at each application. */
export const APPLICATION_LOOK_MS = 1_000;
/** A node where the service has failed too often is tried again after this time, if no other node takes the application in its turn. */
export const FAILED_AGAIN_MS = 60_000;
/** Failures of a service count for this long. */
export const FAILURE_WINDOW_MS = 600_000;
/** Maximum number of failures that a note keeps; the oldest are dropped. */
export const FAILURES_KEPT_MAX = 24;
/** A node that a move names comes before the others for PREFERRED_MS, or for PREFERRED_DELAYS times `start-delay` if that is longer. */
export const PREFERRED_MS = 30_000;
export const PREFERRED_DELAYS = 3;
/** If a stop takes longer than this, the turn of the node that a move names begins again when the volumes are free. */
export const MOVE_RENEW_MS = 10_000;
/** The first node must be in reach this long before the application returns to it (fail-back = yes). */
export const FAIL_BACK_MS = 60_000;
/** Longest text in a note. */
export const NOTE_WHY_MAX_CHARS = 160;

/** Time limit for one program of the system, such as mount, ip or systemctl show. */
export const SYSTEM_CALL_MS = 30_000;
/** Longest output of such a program that rsapp reads. */
export const SYSTEM_OUTPUT_MAX_BYTES = 64 * 1024;
/** Interval at which rsapp looks again whether killed processes have ended, and whether a busy mount can be removed. */
export const KILL_LOOK_MS = 100;
/** How long rsapp waits for killed processes before it reports them. Processes in uninterruptible I/O end when rsiod ends the I/O. */
export const KILLED_WAIT_MS = 5_000;
/** Longest time that an umount may wait for I/O. rsiod fails the I/O earlier, unless stall = forever. */
export const UMOUNT_MAX_MS = 86_400_000;
/** How often rsapp tries to unmount in one stop. Between the attempts it kills the users of the mount. */
export const APPLICATION_UNMOUNT_TRIES_MAX = 20;
/** Longest time that a node waits before it cleans up again after a failed attempt. */
export const CLEAN_RETRY_MS = 5_000;
/** Maximum number of processes that a message names. */
export const USERS_NAMED_MAX = 5;
/** A request to rsiod must be answered within this time; otherwise rsapp takes rsiod for hung. */
export const RSIOD_ANSWER_MS = 5_000;
/** Time limit for rsiod to attach or detach the volumes of an application. A take-over waits for the holder's requests. */
export const RSIOD_CHANGE_MS = 60_000;
/** Longest time that a command waits until an application has started, stopped or moved. */
export const COMMAND_WAIT_MS = 300_000;
/** Longest time that applications take to leave a machine that goes down. TimeoutStopSec of rsapp.service is longer. */
export const LEAVE_MAX_MS = 240_000;
/** Maximum number of commands whose orders wait for one application. */
export const COMMANDS_WAITING_MAX = 16;
/** How long the kernel may check whether another machine has an IPv6 address, which usually takes one to two seconds. */
export const ADDRESS_USABLE_MAX_MS = 10_000;
export const ADDRESS_LOOK_MS = 100;
/** How many gratuitous ARP packets announce an address. */
export const ARP_PACKETS = 3;

assert(MOVE_RENEW_MS < PREFERRED_MS, 'The node of a move must have time left after a stop');
assert(FAILED_AGAIN_MS < FAILURE_WINDOW_MS, 'The end of all bars comes last');
assert(APPLICATION_LOOK_MS < APPLICATION_START_DELAY_MIN_MS, 'A node must look before another one may take its turn');
