// Bounds of cli/ in rsconfig: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

const KIB = 1024;
const MIB = 1024 * KIB;

/** For the whole end of rsiod, as rsconfig waits for it. */
export const DAEMON_STOP_WAIT_MS = 60_000;

/** A tool that finds the file changed, or being saved, begins anew so often, after this. */
export const CONFIG_RETRIES = 40;
export const CONFIG_RETRY_MS = 25;
/** What is read of a file or of stdin that is to hold one key. */
export const INPUT_MAX_BYTES = 4 * KIB;

/** Time between the two samples from which `rsconfig -m stats` computes rates. */
export const STATS_SAMPLE_MS = 1_000;
export const WATCH_INTERVAL_MS = 1_000;
/** `rsconfig ... --wait`: how long, when no time is given, and at most; and how often it looks. A timer cannot wait longer than 2^31 ms. */
export const WAIT_MS = 60_000;
export const WAIT_MAX_MS = 604_800_000;
export const WAIT_POLL_MS = 500;
/** How often a terminal is told how far attaching many volumes has come. */
export const VOLUME_PROGRESS_MS = 1_000;
/** How long the resolver may take to tell the address of a host that a person named. */
export const HOST_LOOKUP_TIMEOUT_MS = 5_000;
/** Paths that `rsconfig join` tries, one after the other: more than its file has room for. */
export const JOIN_PATHS_MAX = 64;
/** Paths that `rsconfig doctor` tries, one after the other. */
export const DOCTOR_PATHS_MAX = 64;
/** Devices that stand on each other (VLAN on VLAN on card), followed down at most so far. */
export const DEVICE_LAYERS_MAX = 8;
/** How long doctor waits for each answer of rsiod, which answers at once unless it hangs. */
export const DOCTOR_ANSWER_TIMEOUT_MS = 5_000;
/** How long a question of doctor to `ip` may take. */
export const DOCTOR_COMMAND_TIMEOUT_MS = 3_000;
/** Below these, doctor says that a bound of the system hurts. */
export const DOCTOR_OPEN_FILES_MIN = 1_024;
export const DOCTOR_TCP_BUFFER_MIN_BYTES = MIB;
/** First number of the routing tables that doctor's remedies use. */
export const ROUTE_TABLE_FIRST = 101;
