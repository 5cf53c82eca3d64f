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
/** Interval at which --wait asks again. */
export const WAIT_POLL_MS = 500;
/** How long a server may take to list its volumes, or to say whether it has one. */
export const INVENTORY_WAIT_MS = 15_000;
/** Maximum number of servers that are asked at the same time. */
export const SERVERS_ASKED_AT_ONCE_MAX = 16;
/** How long a change is sent again if rsiod ends meanwhile. */
export const CALL_AGAIN_FOR_MS = 60_000;
/** How long a command that has attached a volume waits for an rsiod that has ended meanwhile, to detach the volume. */
export const RESTART_WAIT_MS = 10_000;
/** After this time, a command says which server it waits for. */
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
/** How long doctor waits until the voters of all mirrors were asked. */
export const DOCTOR_MIRRORS_TIMEOUT_MS = 25_000;
/** How long doctor waits for the command `ip` or `ss` to finish. */
export const DOCTOR_COMMAND_TIMEOUT_MS = 3_000;
/** Limits of the system below which doctor warns. */
export const DOCTOR_OPEN_FILES_MIN = 1_024;
export const DOCTOR_TCP_BUFFER_MIN_BYTES = MIB;
/** Number of the first routing table that doctor proposes in its remedies; tables that are in use are skipped. */
export const ROUTE_TABLE_FIRST = 101;
/** Interval at which a comparison of replicas is looked at. */
export const VERIFY_LOOK_MS = 500;
/** Clocks of a server and of this machine that differ by less are no finding: the time of the handshake is part of the difference. */
export const CLOCKS_DIFFER_MS = 5_000;
/** Age of the newest backup of a volume from which on it is late: a day, and what a backup may take. As the alert rule RsioBackupOld. */
export const BACKUP_LATE_MS = 26 * 3_600_000;
