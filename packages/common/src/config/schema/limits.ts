// Defines bounds and defaults for the values in configuration files. The name of each bound contains its unit. Every dependent package
// asserts in its src/limits.ts that its bounds fit the bounds defined here.

import { assert } from '@rsio/base/lib/assert';
import { INTERFACES_MAX } from '@rsio/base/lib/limits';

const MIB = 1024 * 1024;

export const SERVERS_PER_CLIENT_MAX = 256;
export const CLIENTS_MAX = 4096;
export const VOLUMES_MAX = 16384;
export const POOLS_MAX = 16;
/** Maximum number of [peer] sections. rssrv has a process for each peer. */
export const PEERS_MAX = 8;
export const PEER_ADDRESSES_MAX = 16;

export const KEY_RECOMMENDED_MIN_CHARS = 16;

export const HEARTBEAT_INTERVAL_MS = 1_000;
export const SUSPECT_AFTER_MS = HEARTBEAT_INTERVAL_MS / 5;
export const DEAD_AFTER_MS = 3 * HEARTBEAT_INTERVAL_MS;

/** Default number of worker processes per CPU core of the server. Each worker uses about 12 MiB of memory. */
export const PROCESSES_PER_CORE = 8;
/** Maximum length of a storage stamp, which is a text that identifies the file or device of a volume. */
export const STORAGE_STAMP_MAX_CHARS = 128;

export const PORT_DEFAULT = 5_000;
export const KEY_MAX_CHARS = 256;
/** Length of a generated key. Each character is one of 30 possible characters, and the key therefore has more than 150 random bits. */
export const KEY_NEW_CHARS = 32;
export const PATH_MAX_BYTES = 4_095;
export const CONFIG_FILE_MAX_BYTES = 16 * MIB;
/** Maximum number of [server] sections in a client's configuration file, which has one for each interface of each server. */
export const SERVER_SECTIONS_MAX = SERVERS_PER_CLIENT_MAX * INTERFACES_MAX;
export const NAMESPACES_PER_CLIENT_MAX = 256;
export const HEARTBEAT_MIN_MS = 50;
export const HEARTBEAT_MAX_MS = 60_000;
export const SUSPECT_MIN_MS = 10;
export const DEAD_MAX_MS = 600_000;
export const STALL_MS = 600_000;
export const STALL_MIN_MS = 100;
/** Longest value of the key `stall`: one week. The value is bounded, because a timer cannot wait longer than 2^31 ms. */
export const STALL_MAX_MS = 604_800_000;
/** Default time for which a mirror waits for a replica that it cannot reach. */
export const MIRROR_PATIENCE_MS = 1_000;
export const MIRROR_PATIENCE_MIN_MS = 100;
export const MIRROR_PATIENCE_MAX_MS = 3_600_000;
/** Default rate at which a mirror copies to its replicas, in bytes per second; 0 for no limit. */
export const RESYNC_RATE_BYTES = 0;
export const RESYNC_RATE_MAX_BYTES = 64 * 1024 * MIB;
export const REPLAY_LOG_BYTES = 64 * MIB;
export const REPLAY_LOG_MAX_BYTES = 1024 * MIB;
/** Maximum of the key `busy-poll`. */
export const BUSY_POLL_MAX_US = 1_000;
/**
 * Maximum of the key `processes` of a client: the data processes beside the main process. Equals the maximum in the protocol
 * (DATA_PROCESSES_MAX).
 */
export const CLIENT_PROCESSES_MAX = 8;
/** Default of the key `log-total`, which limits the total size of a client's replay logs. */
export const LOG_TOTAL_BYTES = 8 * REPLAY_LOG_BYTES;
export const LOG_TOTAL_MIN_BYTES = MIB;
export const LOG_TOTAL_MAX_BYTES = 64 * 1024 * MIB;

/**
 * IOPS_MIN to BANDWIDTH_MAX_BYTES: range of the I/O limits of volumes and clients. With the lowest limits, the server still executes a
 * client's full queue in acceptable time.
 */
export const IOPS_MIN = 10;
export const IOPS_MAX = 10_000_000;
export const BANDWIDTH_MIN_BYTES = 64 * 1024;
export const BANDWIDTH_MAX_BYTES = 1024 * 1024 * MIB;
/**
 * Default of the key `burst`, the time for which unused allowance of I/O limits is kept. A time shorter than the delays of a busy process
 * would keep I/O below its limit.
 */
export const BURST_MS = 1_000;
export const BURST_MIN_MS = 100;
export const BURST_MAX_MS = 60_000;

/** Largest share of a pool's file system, in percent, that can be kept free. */
export const RESERVE_MAX_PERCENT = 50;

/** Maximum number of servers that may own a shared pool. */
export const OWNERS_MAX = 16;
/** TAKE_OVER_MS, TAKE_OVER_MIN_MS and TAKE_OVER_MAX_MS: default and range of the key `take-over-after` of shared pools. */
export const TAKE_OVER_MS = 10_000;
export const TAKE_OVER_MIN_MS = 3_000;
export const TAKE_OVER_MAX_MS = 600_000;

assert(KEY_NEW_CHARS > KEY_RECOMMENDED_MIN_CHARS && KEY_NEW_CHARS <= KEY_MAX_CHARS, 'A new key must be a good one');
assert(SUSPECT_AFTER_MS < HEARTBEAT_INTERVAL_MS && HEARTBEAT_INTERVAL_MS * 2 < DEAD_AFTER_MS, 'suspect < heartbeat < dead / 2');

/**
 * TRIGGERS_MAX: maximum number of triggers. TRIGGER_MS, TRIGGER_MIN_MS and TRIGGER_MAX_MS: default and range of the time for which the
 * program of a trigger may run.
 */
export const TRIGGERS_MAX = 16;
export const TRIGGER_MS = 10_000;
export const TRIGGER_MIN_MS = 1_000;
export const TRIGGER_MAX_MS = 60_000;

/** Default port of a gate, which IANA has assigned to NVMe over TCP. */
export const GATE_PORT = 4420;
/** Default port of a gate for iSCSI, which IANA has also assigned. */
export const ISCSI_PORT = 3260;
/** Length of a CHAP secret: minimum, maximum, and length of a new secret. RFC 7143 requires at least 12, and Windows accepts at most 16. */
export const CHAP_SECRET_MIN_BYTES = 12;
export const CHAP_SECRET_MAX_BYTES = 64;
export const CHAP_SECRET_BYTES = 16;
/** Maximum numbers of [gate] sections, and of addresses and hosts in one section. */
export const GATES_MAX = 16;
export const GATE_ADDRESSES_MAX = 8;
/** Maximum number of gates of one subsystem, each on a machine of its own. */
export const GATE_MEMBERS_MAX = 8;
export const GATE_HOSTS_MAX = 64;
/** Highest numbers in an address of AoE, SHELF.SLOT. The next higher number means all shelves or all slots. */
export const AOE_SHELF_MAX = 65_534;
export const AOE_SLOT_MAX = 254;
/** Longest NQN, by the NVMe Base specification. */
export const NQN_MAX_CHARS = 223;

/** Maximum numbers of [application] sections, and of volumes, mounts and nodes in one section. */
export const APPLICATIONS_MAX = 32;
export const APPLICATION_VOLUMES_MAX = 8;
export const APPLICATION_MOUNTS_MAX = 16;
export const APPLICATION_NODES_MAX = 16;
/** How long the servers must have seen no path of a node before another node takes over its applications. */
export const APPLICATION_SILENT_MS = 10_000;
export const APPLICATION_SILENT_MIN_MS = 2_000;
export const APPLICATION_SILENT_MAX_MS = 600_000;
/** How long each node waits for the nodes that precede it in `nodes`. */
export const APPLICATION_START_DELAY_MS = 10_000;
export const APPLICATION_START_DELAY_MIN_MS = 2_000;
/** Time limits of the start, of the stop and of one check of an application; time between checks. */
export const APPLICATION_START_MS = 120_000;
export const APPLICATION_STOP_MS = 60_000;
export const APPLICATION_CHECK_MS = 10_000;
export const APPLICATION_CHECK_EVERY_MS = 5_000;
export const APPLICATION_TIME_MIN_MS = 1_000;
export const APPLICATION_TIME_MAX_MS = 3_600_000;
/** Restarts of a service on one node before it is moved. */
export const APPLICATION_RESTARTS = 3;
export const APPLICATION_RESTARTS_MAX = 10;

/** Maximum number of addresses that a client remembers for one server across restarts, and of the `[server]` sections that lead to it. */
export const SERVER_ADDRESSES_MAX = 64;

/** Shortest secret of a configuration that is searched for in other texts, and shortest text of a wrong line that is taken for a secret. */
export const SECRET_CLEANED_MIN_CHARS = 6;
export const SECRET_LIKELY_MIN_CHARS = 12;

/** A server that restarts or whose network is repaired must not be replaced, so that the least time is ten times a usual restart. */
export const REPLACE_AFTER_MIN_MS = 60_000;
export const REPLACE_AFTER_MAX_MS = 30 * 24 * 3_600_000;
export const VERIFY_EVERY_MIN_MS = 3_600_000;
export const VERIFY_EVERY_MAX_MS = 366 * 24 * 3_600_000;
