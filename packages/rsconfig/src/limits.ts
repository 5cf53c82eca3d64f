// Bounds of rsconfig: backups, waits of commands, frozen file systems. Units are in the names.
// Invariant: a bound has one place, and bounds that depend on each other are asserted here.

const KIB = 1024;
const MIB = 1024 * KIB;

// --- backup: sizes of copied pieces, and waits for programs. A copy itself has no time limit, because the
// amount of data is unknown.

/** A backup copies pieces of PIECE_BYTES bytes, PIECES_AT_ONCE of them at the same time. */
export const PIECE_BYTES = 1024 * 1024;
export const PIECES_AT_ONCE = 4;
/** Length of the range in one query for changes. */
export const STATUS_BYTES = 1024 * 1024 * 1024;
/** After its start, qemu-nbd must listen on its socket within LISTEN_WAIT_MS. rsconfig tries to connect every LISTEN_RETRY_MS. */
export const LISTEN_WAIT_MS = 10_000;
export const LISTEN_RETRY_MS = 20;
/** Maximum length of a failed program's error output in a message. */
export const PROGRAM_TEXT_MAX_CHARS = 2_000;
/** Maximum length of the data in an NBD option reply. */
export const OPTION_REPLY_MAX_BYTES = 64 * 1024;
export const RECORD_MAX_BYTES = 64 * 1024;
/**
 * Maximum number of files in the chain of a backup. The names of all files must fit in one argument of a program, which the kernel limits
 * to 128 KiB.
 */
export const CHAIN_FILES_MAX = 500;
/** The qcow2 header must lie within the first QCOW2_HEADER_BYTES bytes of a backup file. */
export const QCOW2_HEADER_BYTES = 64 * 1024;
/**
 * A full backup is due a little early, by the FULL_EARLY_SHARE-th part of its period: the runs of a timer begin a few minutes earlier or
 * later, and a weekly full backup must not become one of every eighth day.
 */
export const FULL_EARLY_SHARE = 24;
/** Range of --full-every, and maximum of --keep. */
export const FULL_EVERY_MIN_MS = 1_000;
export const FULL_EVERY_MAX_MS = 10 * 365 * 86_400_000;
export const CHAINS_KEPT_MAX = 1_000;

// --- rsconfig.

export const DAEMON_STOP_WAIT_MS = 60_000;

/**
 * If another program is changing or saving the file, an edit is tried again up to CONFIG_RETRIES times, each time after CONFIG_RETRY_MS.
 */
export const CONFIG_RETRIES = 40;
export const CONFIG_RETRY_MS = 25;
/** Maximum number of bytes that are read from a key file or from stdin. */
export const INPUT_MAX_BYTES = 4 * KIB;

/**
 * STATS_SAMPLE_MS is the interval between the two samples from which `rsconfig -m stats` computes rates. WATCH_INTERVAL_MS is the interval
 * between the samples of `watch`.
 */
export const STATS_SAMPLE_MS = 1_000;
export const WATCH_INTERVAL_MS = 1_000;
/** If a daemon does not answer, wait-event asks it again after this time. */
export const EVENT_RETRY_MS = 1_000;
/** Exit status of wait-event if nothing has come in time. */
export const WAIT_EVENT_LATE_CODE = 3;
/** Interval between the polls of --wait. */
export const WAIT_POLL_MS = 500;
/** Interval at which a command such as backup shows how far it is, and tells rsiod. Below COMMAND_WORK_SILENT_MS of rsiod. */
export const WORK_NOTE_MS = 1_000;
/** Interval at which an order for an application asks what it waits for, and interval at which it prints a reason that lasts. */
export const APP_WHY_POLL_MS = 2_000;
export const APP_WHY_AGAIN_MS = 10_000;
/** Time limit for a server to list its volumes or shared pools, or to answer whether it has a volume. */
export const INVENTORY_WAIT_MS = 15_000;
/** Maximum number of servers that are asked at the same time. */
export const SERVERS_ASKED_AT_ONCE_MAX = 16;
/** If rsiod exits during a change, the command repeats the request until this time is over. */
export const CALL_AGAIN_FOR_MS = 60_000;
/** After this time, a command reports which server it is waiting for. */
export const SLOW_CALL_MS = 3_000;
/** VOLUME_PROGRESS_MS is the interval between updates of the progress line while volumes are being attached or detached. */
export const VOLUME_PROGRESS_MS = 1_000;
export const HOST_LOOKUP_TIMEOUT_MS = 5_000;
export const JOIN_PATHS_MAX = 64;
export const DOCTOR_PATHS_MAX = 64;
/** Maximum number of layers between a device and its network card; a VLAN on a VLAN, for example, has two layers. */
export const DEVICE_LAYERS_MAX = 8;
/** How long doctor waits for each answer from rsiod, which normally answers at once. */
export const DOCTOR_ANSWER_TIMEOUT_MS = 5_000;
/** How long doctor waits for the answers of the voters of all mirrors. */
export const DOCTOR_MIRRORS_TIMEOUT_MS = 25_000;
/** How long doctor waits for the command `ip` or `ss` to finish. */
export const DOCTOR_COMMAND_TIMEOUT_MS = 3_000;
/**
 * doctor warns if a process may have fewer open files than DOCTOR_OPEN_FILES_MIN, or if the kernel lets a TCP buffer grow to less than
 * DOCTOR_TCP_BUFFER_MIN_BYTES.
 */
export const DOCTOR_OPEN_FILES_MIN = 1_024;
export const DOCTOR_TCP_BUFFER_MIN_BYTES = MIB;
/**
 * doctor warns if the `stall` of a volume in a shared pool is shorter than this. It should exceed the servers' `take-over-after`, which is
 * 10 s by default, by 30 s.
 */
export const STALL_IN_FARM_MIN_MS = 45_000;
/** doctor warns if a command of a host has waited this long for the memory of the gates. */
export const GATE_WAIT_LATE_MS = 5_000;
/** Number of the first routing table that doctor proposes in its remedies; tables that are in use are skipped. */
export const ROUTE_TABLE_FIRST = 101;
/** Interval at which the progress of a comparison of replicas is polled. */
export const VERIFY_LOOK_MS = 500;
/**
 * doctor ignores a difference between the clocks of a server and this machine that is smaller than this, because the measured difference
 * includes the time of the handshake.
 */
export const CLOCKS_DIFFER_MS = 5_000;
/**
 * doctor warns if the newest backup of a volume is older than this: one day and the duration of a backup. The alert rule RsioBackupOld has
 * the same value.
 */
export const BACKUP_LATE_MS = 26 * 3_600_000;

// --- freeze: how long file systems may be frozen, and how many of them.

/** Maximum time for which file systems are frozen. Programs that write to a frozen file system wait until it is thawed. */
export const FREEZE_MAX_S = 30;
/** Time limit for freezing the file systems, which first writes their dirty data. If freezing takes longer, no snapshot is made. */
export const FREEZE_WAIT_MS = 60_000;
/** Time limit for thawing the file systems. */
export const THAW_WAIT_MS = 15_000;
/** Maximum number of file systems that are frozen at a time. */
export const FROZEN_MAX = 64;

/** Time in which a client has to log in with its new key at all servers (rsconfig client rekey --finish). */
export const CLIENT_BACK_MS = 30_000;

// --- mount: programs, waits, and how much is recorded and shown.

/** Maximum number of file systems that rsconfig has mounted at a time, and of partitions that it looks at. */
export const MOUNTS_MAX = 256;
export const PARTITIONS_MAX = 128;
/** Time limit of blkid and partx, and of mount and umount. A mount may replay a journal. */
export const BLKID_MS = 20_000;
export const MOUNT_PROGRAM_MS = 300_000;
/** How long a command waits for another command that mounts, and how often it looks. */
export const MOUNTS_BUSY_MS = 60_000;
export const MOUNTS_LOOK_MS = 100;
/** How long the device of an unmounted file system may stay in use, by udev for example. */
export const MOUNT_LEAVES_MS = 10_000;
/** Maximum number of entries of a folder that a message names. */
export const HIDDEN_NAMED_MAX = 3;
