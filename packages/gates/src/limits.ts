// Bounds of gates. Units are in the names.
// Invariant: each bound is defined once, and relations between bounds are asserted here.

import { GATE_ADDRESSES_MAX, GATE_MEMBERS_MAX } from '@rsio/common/config/schema/limits';
import { LIST_WAIT_MS } from '@rsio/common/control/limits';
import { assert } from '@rsio/base/lib/assert';
import { GATE_RECORD_TIMEOUT_MS } from '@rsio/protocol/client/limits';
import { TAKE_OVER_WAIT_MS } from '@rsio/protocol/link/limits';
import { GATE_NAMESPACE_ID_MAX } from '@rsio/rsiod/notes/limits';

const KIB = 1024;
const MIB = 1024 * KIB;

/**
 * Most connections of hosts to all gates of an rsiod; most connections that have not logged in or authenticated yet, from all addresses;
 * and most of these from one address. If there are more without a login, one of them ends (door.ts).
 */
export const GATE_CONNECTIONS_MAX = 256;
export const GATE_UNPROVEN_MAX = 64;
export const GATE_UNPROVEN_EACH_MAX = 16;
/** A host must send its Connect command or log in, and prove itself if it has to, within this time. */
export const GATE_LOGIN_MS = 10_000;
/** Most login requests of one connection of iSCSI. A login has three to six. */
export const GATE_LOGIN_REQUESTS_MAX = 64;
/** Most identities in one TLS handshake for which a gate looks up a key. A host has one or two. */
export const GATE_TLS_IDENTITIES_MAX = 8;
/** Most bytes of a message of an authentication; the longest one has 1,168. */
export const AUTH_MESSAGE_MAX_BYTES = 4 * KIB;
/** After each authentication computation, the event loop is free for AUTH_REST times its duration, but at least for AUTH_REST_MIN_MS. */
export const AUTH_REST = 9;
export const AUTH_REST_MIN_MS = 10;
/** Most controllers, that is logins of hosts, at one gate; and most logins of one host at one gate, by NVMe or iSCSI: one for each path. */
export const GATE_CONTROLLERS_MAX = 64;
export const GATE_HOST_LOGINS_MAX = 12;
/** Maximum number of log lines about one host, or one address, in each interval of the rate-limited log. */
export const GATE_HOST_LINES_MAX = 8;
/** Number of controller ids, and of address numbers, that each gate of a subsystem has for itself. */
export const GATE_CONTROLLER_IDS = 8_188;
export const GATE_PORT_IDS = 32;
/** Most volumes of one gate. */
export const GATE_VOLUMES_MAX = 1_024;
/**
 * Most volumes whose namespace ids a gate remembers, the number of ids that each gate of a subsystem can give, and the highest id. No id is
 * used twice.
 */
export const GATE_NUMBERS_MAX = 4 * GATE_VOLUMES_MAX;
export const GATE_IDS_EACH = 8_191;

/** Entries of an I/O queue and of an admin queue. The number of commands that a host may have outstanding is one less. */
export const GATE_QUEUE_ENTRIES = 128;
export const GATE_ADMIN_ENTRIES = 32;
/** Most I/O queues of one host. */
export const GATE_QUEUES_MAX = 16;
/** Most data in one command (MDTS), a power of 2 of 4-KiB pages. */
export const GATE_TRANSFER_BITS = 8;
export const GATE_TRANSFER_MAX_BYTES = 4 * KIB * 2 ** GATE_TRANSFER_BITS;
/** Most data in the capsule of an I/O command; the specification fixes it for admin commands. */
export const GATE_IN_CAPSULE_BYTES = 8 * KIB;
/**
 * Memory for the data of all commands of all gates, until the data has been sent; data in capsules and data of admin commands do not count.
 */
export const GATE_BYTES_MAX = 64 * MIB;
/** Most memory for the commands of one host, so that a host that takes no answers leaves half of the memory to the others. */
export const GATE_HOST_BYTES_MAX = GATE_BYTES_MAX / 2;
/** Additional memory for the first command of a connection, so that a slow host cannot starve the others. */
export const GATE_RESERVE_BYTES = 64 * MIB;
/** The log says that the memory is used up when a command has waited for it this long. */
export const GATE_MEMORY_WAIT_MS = 5_000;
/** Answers with less data than this are copied into the batch of the connection. */
export const GATE_COPY_MAX_BYTES = 64 * KIB;
export const GATE_RECEIVE_BYTES = 256 * KIB;

/** Most Asynchronous Event Requests that a host may have outstanding (AERL plus 1). */
export const GATE_EVENTS_MAX = 4;
export const GATE_RESERVATION_NOTICES_MAX = 64;
/** Most commands that wait for the reservations of one volume, including commands of hosts that have left meanwhile. */
export const GATE_RESERVATIONS_WAITING_MAX = 1_024;
/** Length of the log of the states of all namespaces. */
export const GATE_ANA_LOG_BYTES = 16 + GATE_VOLUMES_MAX * (32 + 4);
/** Time (s) that a change of state may take; a host may give up after it (ANATT). */
export const GATE_ANA_S = 85;
/**
 * While more than GATE_LARGE_LOGS_MAX answers of a connection wait for the host, one answer contains at most GATE_SMALL_LOG_BYTES of a log.
 * Other answers to admin commands are never longer.
 */
export const GATE_LARGE_LOGS_MAX = 16;
export const GATE_SMALL_LOG_BYTES = 4 * KIB;
/** Most changed namespaces in a log; if there are more, the log says that all have changed. */
export const GATE_CHANGED_MAX = 1_024;

/**
 * A gap of the event loop of this length, or a step of the wall clock by it, counts as a time in which the machine was suspended. AoE gates
 * then drop what has arrived; for other gates, paths are older by this time.
 */
export const GATE_GAP_MS = 2_000;
export const GATE_TICK_MS = 250;
/** Shortest keep-alive time of a host; a shorter one is refused, because a process that stands still for a moment would lose its hosts. */
export const GATE_KEEP_ALIVE_MIN_MS = 4_000;
/**
 * Number of parts of a volume for which the latest change is known (rule D1). The parts only decide which changes are looked at more
 * closely.
 */
export const GATE_ORDER_REGIONS = 1_024;
/**
 * A host that answers the events of the gate, and whose proof moment is older than two keep-alive times and this time, has its controller
 * ended. An event is sent once in a keep-alive time.
 */
export const GATE_PROOF_SLACK_MS = 1_000;
/** Most answers of a queue of which the gate remembers the moment. */
export const GATE_REPLIES_MAX = 64;
/** When one of its I/O queues has ended, a controller ends after this time, in which its host may shut it down or reset it. */
export const GATE_QUEUE_END_MS = 1_000;
/** If a volume has not completed a command in this time, the command is answered with Command Interrupted, and the host repeats it. */
export const GATE_BUSY_MS = 20_000;
/** If a reset, an abort or a reservation has to wait longer than this for I/O, it gets no answer, and the connection is closed. */
export const GATE_QUIESCE_MS = 10_000;
/**
 * Most resets of lost controllers that one controller waits for (CCRL), most that all controllers of a gate wait for, and most entries in a
 * controller's log of such resets. The answer waits this long for the end of the lost controller; later, the host learns the result from
 * the log.
 */
export const GATE_CROSS_RESET_LIMIT = 4;
export const GATE_CROSS_RESETS_MAX = 16;
export const GATE_CROSS_RESET_LOG_MAX = 32;
export const GATE_CROSS_RESET_ANSWER_MS = 1_000;
/**
 * How long hosts wait after the keep-alive time for the commands of a lost controller (CQT). Once the keep-alive time has run out, the gate
 * begins no command of the host, and not even the next step of one (`mayContinue` of the controller). Within this time, the gate notices
 * the expiry and closes the connections. I/O that a volume is executing by then may end much later, because a volume waits for paths. It
 * cannot overtake newer I/O, however: newer I/O of this gate waits for it (O1), and a gate that takes the volume over makes it stale (D3,
 * H2).
 */
export const GATE_QUIESCE_AFTER_KEEP_ALIVE_MS = 2_000;
/** If a host owes data or does not take its answers, and nothing of that kind moves in this time, it is cut off. */
export const GATE_TRANSFER_MS = 30_000;
/** TCP probes a silent host after this time, so that a dead host without a keep-alive of its own does not keep its connection for ever. */
export const GATE_TCP_KEEP_ALIVE_MS = 30_000;
export const GATE_STOP_MS = 5_000;
/** After its start, rsiod waits at most this long for the volumes that it had before, and then opens its gates without the missing ones. */
export const GATE_SETTLE_MS = 60_000;
/** A gate takes a volume over at most once in this time, and not within this time after it lost the volume to another gate. */
export const GATE_SWITCH_MS = 10_000;
/** An active gate whose volume has had no path for this time tells its hosts to use another gate. */
export const GATE_PATHLESS_MS = 3_000;
/**
 * A standby looks at the servers' lists every GATE_LOOK_MS. For a volume without an id, it asks for the gate record every
 * GATE_RECORD_LOOK_MS.
 */
export const GATE_LOOK_MS = 1_000;
export const GATE_RECORD_LOOK_MS = 5_000;
/** Most gate records that are being read at the same time. */
export const GATE_RECORD_READS_MAX = 8;
/** A standby that no server has offered for this time is withdrawn from the hosts. */
export const GATE_ABSENT_MS = 60_000;
/** An address that cannot be used now is tried again in this interval. */
export const GATE_LISTEN_RETRY_MS = 5_000;

/** Most bytes of additional headers in one iSCSI PDU, most keys in one text, and most bytes of all texts in one stage of a login. */
export const GATE_AHS_MAX_BYTES = 256;
export const GATE_KEYS_MAX = 64;
/** Longest name of a host, as NVMe and iSCSI bound it. */
export const GATE_HOST_NAME_MAX_BYTES = 223;
export const GATE_TEXT_MAX_BYTES = 16 * KIB;
/** Most sessions of one iSCSI gate, including discovery sessions. */
export const GATE_SESSIONS_MAX = 64;
/** Most commands of one session, and most immediate requests that a host may send in addition, because they need no turn. */
export const GATE_SESSION_COMMANDS = 128;
export const GATE_IMMEDIATE_MAX = 16;
/** Most answers of one session that its host has not taken. */
export const GATE_UNSENT_MAX = 8 * GATE_SESSION_COMMANDS;
/** Most data in one PDU of a host, most data that a host may send without being asked, and most data that one request asks for. */
export const GATE_SEGMENT_BYTES = 256 * KIB;
export const GATE_FIRST_BURST_BYTES = 256 * KIB;
export const GATE_BURST_BYTES = MIB;
/** Most data of one PDU of a login, which the RFC fixes. */
export const GATE_LOGIN_SEGMENT_BYTES = 8 * KIB;
/**
 * Most data of a ping that is sent back. A host with more than GATE_UNSENT_TEXTS_MAX answers that it has not taken gets neither such data
 * nor a text.
 */
export const GATE_PING_BYTES = 8 * KIB;
export const GATE_UNSENT_TEXTS_MAX = 128;
/**
 * A gate pings a host of iSCSI whose proof moment is older than GATE_PING_MS, and closes the connection unread when it is older than
 * GATE_PROOF_MS (rule D1), whatever else has arrived.
 */
export const GATE_PING_MS = 2_000;
export const GATE_PROOF_MS = 8_000;
/** Number of unit numbers that each gate of a target can give. */
export const GATE_UNITS_EACH = 2_047;
/** Length of a gate's challenges, and the most bytes of a host's challenge. */
export const CHAP_CHALLENGE_BYTES = 32;
export const CHAP_CHALLENGE_MAX_BYTES = 1_024;

/** Bytes of a SCSI command block (longer ones are refused), and of sense data. */
export const SCSI_CDB_BYTES = 16;
export const SCSI_SENSE_BYTES = 64;
/** The highest unit number; hosts address units in one level with 14 bits. */
export const SCSI_LUN_MAX = 16_383;
/** Most data of one SCSI command in either direction, and the pieces in which the engine compares, fills and copies. */
export const SCSI_TRANSFER_MAX_BYTES = 4 * MIB;
export const SCSI_PIECE_BYTES = MIB;
/** Most blocks of one WRITE SAME, and most blocks and ranges of one UNMAP. */
export const SCSI_WRITE_SAME_BLOCKS = 32_768;
export const SCSI_UNMAP_BLOCKS = 1_048_576;
export const SCSI_UNMAP_RANGES = 256;
/** Most bytes of a volume that one GET LBA STATUS covers, and most descriptors in its answer. */
export const SCSI_STATUS_BYTES = 1024 * MIB;
export const SCSI_STATUS_RANGES = 256;
/** Most devices and most segments of one EXTENDED COPY, and most copies of one nexus whose results are kept. */
export const SCSI_COPY_TARGETS = 2;
export const SCSI_COPY_SEGMENTS = 16;
export const SCSI_COPY_RESULTS = 16;
/** Longest parameter list of MODE SELECT. */
export const SCSI_PARAMETERS_MAX_BYTES = 4 * KIB;
/** The time (s) that a command may take, as hosts are told. */
export const SCSI_COMMAND_S = 30;
/** Most unit attentions that wait for one nexus. */
export const SCSI_ATTENTIONS_MAX = 16;
/** Most task management functions that wait for the end of I/O at one target. */
export const SCSI_FUNCTIONS_MAX = 256;

assert(GATE_MEMBERS_MAX * GATE_UNITS_EACH <= SCSI_LUN_MAX, 'Each gate has numbers of units of its own');
assert(GATE_UNPROVEN_EACH_MAX * 2 <= GATE_UNPROVEN_MAX && GATE_UNPROVEN_MAX * 2 <= GATE_CONNECTIONS_MAX, 'Strangers leave places to hosts');
assert(GATE_HOST_LOGINS_MAX * (1 + GATE_QUEUES_MAX) < GATE_CONNECTIONS_MAX, 'One host leaves places to the others');
assert(GATE_HOST_BYTES_MAX > SCSI_TRANSFER_MAX_BYTES + KIB, 'The largest command of a host has room');
assert(GATE_FIRST_BURST_BYTES <= GATE_BURST_BYTES, 'RFC 7143, 13.14');
assert(GATE_PROOF_MS >= 2 * GATE_PING_MS + GATE_GAP_MS, 'A host has time to answer');
assert(GATE_MEMBERS_MAX * GATE_IDS_EACH <= GATE_NAMESPACE_ID_MAX, 'Each gate has namespace ids of its own');
assert(GATE_MEMBERS_MAX * GATE_CONTROLLER_IDS < 0xfff0, 'The last ids of controllers have meanings of their own');
assert(
  GATE_ANA_S * 1000 > 2 * LIST_WAIT_MS + TAKE_OVER_WAIT_MS + 3 * GATE_RECORD_TIMEOUT_MS,
  'A host waits for the record, the lists and the take-over, and until the record is read again and names the gate',
);
assert(GATE_ADDRESSES_MAX <= GATE_PORT_IDS, 'Each address of a gate has a number');
assert(GATE_CONTROLLER_IDS > GATE_CONTROLLERS_MAX, 'An id is free');
assert(GATE_ANA_LOG_BYTES <= GATE_COPY_MAX_BYTES, 'The log of the states of all namespaces fits into one answer');
assert(
  GATE_QUIESCE_AFTER_KEEP_ALIVE_MS >= GATE_GAP_MS,
  'A controller is looked at each tick, and a tick that is later is a gap, which ends it',
);
assert(GATE_CROSS_RESET_ANSWER_MS < GATE_QUIESCE_MS, 'A host has its answer before the log says that the reset has failed');
assert(16 * GATE_CROSS_RESET_LOG_MAX <= GATE_SMALL_LOG_BYTES, 'The log of cross-controller resets fits into one short answer');
assert(GATE_TICK_MS * 4 <= GATE_GAP_MS, 'A tick that is somewhat late is no gap');
assert(GATE_IN_CAPSULE_BYTES === 8 * KIB, 'Admin commands have as much data in capsules');
assert(AUTH_MESSAGE_MAX_BYTES <= GATE_IN_CAPSULE_BYTES, 'A message of an authentication fits into a capsule');
assert(GATE_COPY_MAX_BYTES + 128 <= 128 * KIB, 'A copied answer fits into a batch');

/** AoE: the longest frame without its Ethernet header, and with it. Longer ones are dropped. */
export const AOE_MTU_MAX = 9_000;
export const AOE_FRAME_MAX_BYTES = 14 + AOE_MTU_MAX;
/** Most bytes of the config string of a volume, and most MAC addresses in its mask list and in its reserve list. */
export const AOE_CONFIG_MAX_BYTES = 1_024;
export const AOE_MACS_MAX = 64;
/**
 * Most commands that all volumes of a gate execute, and most that one volume executes; further frames get no answer. Hosts are told the
 * second limit.
 */
export const AOE_COMMANDS_MAX = 512;
export const AOE_VOLUME_COMMANDS_MAX = 64;
/** A write frame that the kernel received longer ago gets no answer, because the host may have sent the write again meanwhile. */
export const AOE_WRITE_AGE_MS = 200;
/** If the wall clock steps by more than this, the ages of frames are wrong, and all unread frames are thrown away. */
export const AOE_CLOCK_STEP_MS = 50;
/** Within AOE_WINDOW_MS, a gate works on frames for AOE_BUSY_MS; the event loop has the rest. Measured between chunks of frames. */
export const AOE_WINDOW_MS = 20;
export const AOE_BUSY_MS = 10;
/** Most queries to several volumes that are answered in AOE_QUERIES_MS. Each query can have as many answers as the gate has volumes. */
export const AOE_QUERIES_MAX = 16;
export const AOE_QUERIES_MS = 1_000;
/**
 * Least time between two changes that hosts make to config strings, mask lists or reserve lists, because each change is written to the
 * disk.
 */
export const AOE_CHANGE_MS = 50;
/** Most bytes of answers that wait for the helper; further answers are dropped. */
export const AOE_OUTPUT_BYTES = 640 * KIB;
/** Most bytes that are read from the helper at once. */
export const AOE_INPUT_BYTES = 64 * KIB;
/** How long a host counts as a user of a volume after its last command, and the most hosts of a volume that are remembered. */
export const AOE_ACTIVE_MS = 60_000;
export const AOE_HOSTS_MAX = 64;
/** A helper that has ended is started again after this time. */
export const AOE_HELPER_RETRY_MS = 1_000;
/** Most shelves whose slots are remembered. */
export const AOE_SHELVES_MAX = 64;

assert(AOE_OUTPUT_BYTES >= AOE_VOLUME_COMMANDS_MAX * (AOE_FRAME_MAX_BYTES + 4), 'The answers to all that a host has outstanding fit');
assert(AOE_INPUT_BYTES >= AOE_FRAME_MAX_BYTES + 12, 'A frame fits');
assert(AOE_WRITE_AGE_MS + AOE_CLOCK_STEP_MS < GATE_GAP_MS, 'A write is too old before a gap is found');
