// Bounds of rsconfig. Units are in the names.
// Bounds that several programs share are in common's limits.ts files.

const KIB = 1024;
const MIB = 1024 * KIB;

/** How long rsconfig waits for rsiod to exit. */
export const DAEMON_STOP_WAIT_MS = 60_000;

/** How often an edit is retried if another program has changed the file or is saving it, and the pause before each retry. */
export const CONFIG_RETRIES = 40;
export const CONFIG_RETRY_MS = 25;
/** Maximum number of bytes read from a file or stdin that contains one key. */
export const INPUT_MAX_BYTES = 4 * KIB;

/** Interval between the two samples from which `rsconfig -m stats` computes rates. */
export const STATS_SAMPLE_MS = 1_000;
export const WATCH_INTERVAL_MS = 1_000;
/** `--wait`: default and maximum duration, and the polling interval. A timer cannot wait longer than 2^31 ms. */
export const WAIT_MS = 60_000;
export const WAIT_MAX_MS = 604_800_000;
export const WAIT_POLL_MS = 500;
/** Interval between updates of the progress line while many volumes are being attached. */
export const VOLUME_PROGRESS_MS = 1_000;
/** How long the resolver may take for a host name. */
export const HOST_LOOKUP_TIMEOUT_MS = 5_000;
/** Maximum number of paths that `rsconfig join` tries, one after the other. The configuration file can hold fewer. */
export const JOIN_PATHS_MAX = 64;
/** Maximum number of paths that `rsconfig doctor` tries, one after the other. */
export const DOCTOR_PATHS_MAX = 64;
/** Maximum number of device layers between a device and its network card; a VLAN on a VLAN on a card is an example. */
export const DEVICE_LAYERS_MAX = 8;
/** How long doctor waits for each answer from rsiod, which answers immediately unless it hangs. */
export const DOCTOR_ANSWER_TIMEOUT_MS = 5_000;
/** How long doctor waits for `ip` or `ss`. */
export const DOCTOR_COMMAND_TIMEOUT_MS = 3_000;
/** doctor warns if a limit of the system is below these values. */
export const DOCTOR_OPEN_FILES_MIN = 1_024;
export const DOCTOR_TCP_BUFFER_MIN_BYTES = MIB;
/** Number of the first routing table in doctor's remedies. */
export const ROUTE_TABLE_FIRST = 101;
