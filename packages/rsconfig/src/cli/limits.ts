// Bounds of rsconfig.
// Units are in the names.
// Bounds that several programs share are in the limits.ts files of packages/common.

const KIB = 1024;
const MIB = 1024 * KIB;

export const DAEMON_STOP_WAIT_MS = 60_000;

/** Maximum number of retries of an edit while another program changes or saves the file, and the pause before each retry. */
export const CONFIG_RETRIES = 40;
export const CONFIG_RETRY_MS = 25;
/** Maximum number of bytes that are read from a key file or from stdin. */
export const INPUT_MAX_BYTES = 4 * KIB;

/** Interval between the two samples from which `rsconfig -m stats` computes rates. */
export const STATS_SAMPLE_MS = 1_000;
export const WATCH_INTERVAL_MS = 1_000;
/** Interval between the polls of --wait. */
export const WAIT_POLL_MS = 500;
/** Time limit for a server to list its volumes, or to answer whether it has a volume. */
export const INVENTORY_WAIT_MS = 15_000;
/** Maximum number of servers that are asked at the same time. */
export const SERVERS_ASKED_AT_ONCE_MAX = 16;
/** If rsiod exits during a change, the command repeats the request for this time. */
export const CALL_AGAIN_FOR_MS = 60_000;
/** If rsiod exits while a command has a volume attached, the command waits this long for a new rsiod that can detach the volume. */
export const RESTART_WAIT_MS = 10_000;
/** After this time, a command reports which server it is waiting for. */
export const SLOW_CALL_MS = 3_000;
/** Interval between updates of the progress line while volumes are being attached or detached. */
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
/** Limits of the system below which doctor warns. */
export const DOCTOR_OPEN_FILES_MIN = 1_024;
export const DOCTOR_TCP_BUFFER_MIN_BYTES = MIB;
/** Number of the first routing table that doctor proposes in its remedies; tables that are in use are skipped. */
export const ROUTE_TABLE_FIRST = 101;
/** Interval at which the progress of a comparison of replicas is polled. */
export const VERIFY_LOOK_MS = 500;
/** A smaller difference between the clocks of a server and this machine is ignored, because it includes the time of the handshake. */
export const CLOCKS_DIFFER_MS = 5_000;
/**
 * If the newest backup of a volume is older, doctor warns: one day plus the duration of a backup. The alert rule RsioBackupOld has the same
 * value.
 */
export const BACKUP_LATE_MS = 26 * 3_600_000;
