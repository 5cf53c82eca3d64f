// Bounds of farms: of the record of a pool, of its engines, and of taking and giving up a pool. Units are in the names. Invariant: a bound
// has one place.

/**
 * Maximum number of earlier owners that a record names because the storage may still execute their writes. A pool with more earlier owners
 * waits for fences.
 */
export const WRITERS_MAX = 32;
/** Maximum length of the text with which a fence names a client of the storage. */
export const CLIENT_MAX_CHARS = 256;
/** Maximum length of the text in which an owner says why it does not give a pool up. */
export const REFUSAL_MAX_CHARS = 500;
/** Maximum length of a record as JSON text. */
export const FARM_RECORD_MAX_BYTES = 32_768;

/** Interval at which each server that may own a pool looks at the record of the pool, and posts its own note. */
export const WATCH_MS = 1_000;
/** Longest time for one call of an engine. After this time the outcome of the call is unknown. */
export const ENGINE_CALL_MS = 5_000;
/** Longest time for a fence, including its confirmation. */
export const FENCE_MS = 60_000;

/**
 * Time between the turns of two owners to take a free pool (FREE_STEP_MS), or to take a pool whose owner is silent (SILENT_STEP_MS). The
 * preferred owner has the first turn.
 */
export const FREE_STEP_MS = 3_000;
export const SILENT_STEP_MS = 1_000;
/** Interval of looks while a pool is being moved to this server. */
export const HURRY_MS = 100;
/** Time after which a failed look is repeated while answers wait for a look. */
export const LOOK_RETRY_MS = 200;
/** A request of the only writer of a volume is answered without a look of its own if a look has begun within this time. */
export const LOOK_VALID_MS = 6_000;
/**
 * A server takes a volume from a client only DISPUTED_MS after it has begun to serve the pool, because until then an earlier owner may
 * answer that client without a look. The slower of two clocks may run at CLOCK_SHARE of the speed of the other.
 */
export const DISPUTED_MS = 7_000;
export const CLOCK_SHARE = 0.95;
/** Time between two attempts of a fence that is not proven, of an unmount that is refused, or of a take that failed. */
export const RETRY_MS = 5_000;
/** Interval and maximum number of the attempts of one unmount. */
export const UNMOUNT_RETRY_MS = 200;
export const UNMOUNT_TRIES_MAX = 10;
/** Longest time for one run of mount, umount or mkfs.xfs. */
export const MOUNT_MS = 120_000;
/** Maximum number of processes that an error names as users of a device or a mount. */
export const DEVICE_USERS_MAX = 4;
/** Maximum length of the output of a program in an error message. */
export const OUTPUT_MAX_CHARS = 2_000;
/** Longest time for which a command waits until a pool has moved. */
export const MOVE_MS = 120_000;
/**
 * After this time, a refusal in the note of an owner cannot be the answer to an earlier command, because the owner has tried again by then.
 */
export const REFUSAL_KEPT_MS = RETRY_MS + 2 * WATCH_MS;
// Engines for plain disks (engines/). The header of the disk is drawn in engines/header-format.ts.

/** Maximum length of a record in the header of a disk, as JSON text. Two records and their frame must fit into a slot of a register. */
export const DISK_RECORD_MAX_BYTES = 13_312;
/** Maximum number of times that a register is read again, because both of its slots are being written. */
export const REGISTER_READS_MAX = 6;
/** Maximum number of calls that wait for one disk. Further calls fail at once, so that calls do not pile up while a disk hangs. */
export const DISK_CALLS_MAX = 16;
/** Before a server begins another ballot, it waits for a random time of at most this bound times the number of tries. */
export const BALLOT_PAUSE_MS = 20;
/** Maximum number of attempts to get a free loop device, because another program may take the free device that was found. */
export const LOOP_TRIES_MAX = 16;
/** Longest time for making or ending a loop device, and for shutting its file system down. */
export const LOOP_CALL_MS = 10_000;
/** Interval at which an engine checks whether a loop device has ended. */
export const LOOP_LOOK_MS = 50;
/** Longest time for the program that looks for signatures on a disk. */
export const SIGNATURES_MS = 30_000;
/** Longest time for one command about persistent reservations, unless it is a fence. */
export const RESERVATION_CALL_MS = 10_000;
/** Maximum number of such commands under way for one disk. */
export const RESERVATION_CALLS_MAX = 4;
/** Maximum number of times that a command about reservations is sent, because the disk may first report another event (unit attention). */
export const RESERVATION_TRIES_MAX = 5;
/** Maximum number of keys that are read from a disk. If a disk has more keys, they count as unreadable. */
export const RESERVATION_KEYS_MAX = 1_000;

/** Number of looks that a server makes before it posts its first note, so that it notices another process with its name. */
export const OWN_LOOKS_MIN = 3;
/**
 * Number of looks, WATCH_MS apart, during which no other process may post notes with the name of this server, before an earlier boot of the
 * same hardware counts as ended.
 */
export const OWN_WATCH_LOOKS = 10;
/**
 * Number of looks in a row that may find a record older than a known one. More such looks show that the storage itself has returned to an
 * older state.
 */
export const OLD_SIGHTS_MAX = 5;
/** When the server stops, it waits at most this long for a step of a pool. */
export const POOL_CLOSE_MS = 15_000;
// The engine for Ceph RBD (engines/rbd.ts).

/** Maximum length of a note as JSON text: one character of a refusal may take six bytes. */
export const NOTE_MAX_BYTES = 4_096;
/** Maximum number of notes that a look returns, because servers that may no longer own the pool can have left notes. */
export const NOTES_MAX = 32;
/** Longest time within which a program that the server has started must end or answer. */
export const PROGRAM_MS = 5_000;
/** Maximum length of the output that is kept of a program. */
export const PROGRAM_OUTPUT_MAX_CHARS = 4_096;
/** Time between two looks at something that changes within milliseconds. */
export const POLL_MS = 20;

/** Time limit of librados and librbd for one call. It is shorter than ENGINE_CALL_MS, so that a call fails with a reason. */
export const RBD_CALL_MS = 4_000;
/** Maximum number of calls that wait for the helper of a pool. */
export const RBD_CALLS_MAX = 64;
/** Maximum length of an answer of the helper: JSON of a record and its notes, in which one byte takes up to six characters. */
export const RBD_ANSWER_MAX_CHARS = 6 * (FARM_RECORD_MAX_BYTES + NOTES_MAX * NOTE_MAX_BYTES);
/** Maximum length of an answer of qemu-storage-daemon or of the socket of its librados. */
export const RBD_SOCKET_ANSWER_MAX_BYTES = 1_048_576;
/** Time for which Ceph refuses a fenced client: ten years. Ceph's own default, an hour, ends while a frozen server may still wake up. */
export const RBD_FENCE_S = 315_360_000;
/**
 * A fence that lasts for less than this time does not count. This time is shorter than RBD_FENCE_S, because a fence may be confirmed again
 * years later.
 */
export const RBD_FENCE_LEAST_MS = 365 * 86_400_000;
/** Time between two attempts to fence a client. */
export const RBD_FENCE_RETRY_MS = 1_000;
/**
 * Time between two pings of a storage client to the OSD of the image's header. Through these pings, the client gets a new map of the
 * cluster.
 */
export const RBD_PING_S = 0.25;
/** Interval at which the owner looks whether the file system of a pool has failed. */
export const PROBE_MS = 5_000;
/** Number of looks, WATCH_MS apart, that show whether another server is still making the pool. */
export const MAKER_LOOKS = 4;
