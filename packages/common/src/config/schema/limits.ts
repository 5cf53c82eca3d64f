// Bounds for the configuration: ranges of values, and defaults. Units are in the names. The assertions below check relations between these
// bounds. Packages that depend on this one assert in their src/limits.ts that their own bounds agree with these.

import { assert } from '../../lib/assert.ts';
import { INTERFACES_MAX } from '../../lib/limits.ts';

const MIB = 1024 * 1024;

export const SERVERS_PER_CLIENT_MAX = 256;
export const CLIENTS_MAX = 4096;
export const VOLUMES_MAX = 16384;

export const KEY_RECOMMENDED_MIN_CHARS = 16;

export const HEARTBEAT_INTERVAL_MS = 1_000;
export const SUSPECT_AFTER_MS = HEARTBEAT_INTERVAL_MS / 5;
export const DEAD_AFTER_MS = 3 * HEARTBEAT_INTERVAL_MS;

/** Default number of processes that serve clients, per CPU core of the machine. Each process uses about 12 MiB of memory. */
export const PROCESSES_PER_CORE = 8;
/** Maximum length of a stamp. A stamp distinguishes the storage of one volume from other storage. */
export const STORAGE_STAMP_MAX_CHARS = 128;

export const PORT_DEFAULT = 5_000;
export const KEY_MAX_CHARS = 256;
/** Length of a key that `rsconfig key new` makes. With an alphabet of 30 letters, this is more than 150 bits. */
export const KEY_NEW_CHARS = 32;
export const PATH_MAX_BYTES = 4_095;
export const CONFIG_FILE_MAX_BYTES = 16 * MIB;
/** Maximum number of `[server]` sections of one client. Each interface of each server has a section. */
export const SERVER_SECTIONS_MAX = SERVERS_PER_CLIENT_MAX * INTERFACES_MAX;
export const NAMESPACES_PER_CLIENT_MAX = 256;
export const HEARTBEAT_MIN_MS = 50;
export const HEARTBEAT_MAX_MS = 60_000;
export const SUSPECT_MIN_MS = 10;
export const DEAD_MAX_MS = 600_000;
export const STALL_MS = 600_000;
export const STALL_MIN_MS = 100;
/** One week. The limit is needed because a timer cannot wait longer than 2^31 ms. */
export const STALL_MAX_MS = 604_800_000;
export const REPLAY_LOG_BYTES = 64 * MIB;
export const REPLAY_LOG_MAX_BYTES = 1024 * MIB;
/** Default limit for the total size of a client's replay logs (`log-total`): eight logs of the default size. */
export const LOG_TOTAL_BYTES = 8 * REPLAY_LOG_BYTES;
export const LOG_TOTAL_MIN_BYTES = MIB;
export const LOG_TOTAL_MAX_BYTES = 64 * 1024 * MIB;

/** Limits of the `test-...` keys of a volume: the maximum number of rules, and the longest delay. */
export const TEST_RULES_MAX = 32;
export const TEST_DELAY_MAX_MS = 600_000;

assert(KEY_NEW_CHARS > KEY_RECOMMENDED_MIN_CHARS && KEY_NEW_CHARS <= KEY_MAX_CHARS, 'A new key must be a good one');
assert(SUSPECT_AFTER_MS < HEARTBEAT_INTERVAL_MS && HEARTBEAT_INTERVAL_MS * 2 < DEAD_AFTER_MS, 'suspect < heartbeat < dead / 2');
