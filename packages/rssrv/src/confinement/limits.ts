// Bounds for the code in rssrv's confinement/ folder. Names include the units. The file src/limits.ts asserts the relations between these
// bounds and the bounds of other folders.

/** Maximum number of descriptors in one message. A volume over several files needs two for each file. */
export const DESCRIPTORS_PER_MESSAGE_MAX = 64;
/** Interval at which the listener tries again to pass descriptors, while the socket of a server process is full. */
export const PASS_RETRY_MS = 20;
/** A server process that reads no descriptors for this time gets no more of them: the OPEN is refused. */
export const PASS_WAIT_MS = 10_000;

/**
 * Maximum number of volumes that a listener opens for server processes at the same time, in total and on one file system or disk. Each
 * occupies a thread of the listener's pool, for a long time if its storage hangs. So storage that hangs keeps few of them.
 */
export const OPENS_MAX = 24;
export const OPENS_PER_DEVICE_MAX = 4;
/** An OPEN waits at most this long for other opens of its file system or disk. */
export const OPEN_WAIT_MS = 10_000;
/** Maximum number of OPENs that wait in that way; further ones are refused. */
export const OPENS_WAITING_MAX = 4_096;
