// Every bound and time-out of the protocol and of the programs, unit in the name. Nothing else in the tree may hold a magic bound.
// The relations between them are checked when this module is loaded: a wrong set of numbers does not start. Those of one program alone, of
// which nothing follows for the others, are in lib/program-limits.ts.

import { assert } from './assert.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

// --- frames
export const SECTOR_BYTES = 512;
export const HEADER_BYTES = 16;
export const DIGEST_BYTES = 4;
export const BODY_MAX_BYTES = MIB;
export const IO_MAX_SECTORS = BODY_MAX_BYTES / SECTOR_BYTES;
/** Largest message body after the handshake; a longer list comes in several frames (flag MORE). */
export const MESSAGE_MAX_BYTES = 64 * KIB;
/** Largest message body before the proof. */
export const HANDSHAKE_MESSAGE_MAX_BYTES = 2 * KIB;
/** Volumes must be addressable by a double without loss. */
export const VOLUME_MAX_BYTES = 2 ** 53 - MIB;
export const WIDE_UNIT_SECTORS = MIB / SECTOR_BYTES;
/** Largest DISCARD or ZERO of a client, in such units: so that a request ends within bounded time. */
export const WIDE_COUNT_MAX = 1024;
export const COUNT_MAX = 0xffff;
export const EXTENTS_PER_ANSWER_MAX = 1024;
export const SEQ_MODULUS = 0x10000;

// --- session
export const SLOTS = 256;
/** Kept for LIST, OPEN, CLOSE and FLUSH. */
export const SLOTS_RESERVED = 8;
/** Quarantined slots at which the worst suspect path is fenced at once (S6). */
export const SLOTS_QUARANTINE_MAX = SLOTS / 4;
/**
 * Share of the unreserved slots, and of the window, that one volume may hold of what the others leave: however many hang, there is some left
 * for the next.
 */
export const VOLUME_SLOT_SHARE = 0.75;
/** Tags that one REVOKE names, as slot and seq; I/O of more is given up with the session. */
export const REVOKE_TAGS_MAX = 4 * SLOTS;
/** Handles that are being revoked at one time; one more is given up with the session. */
export const REVOKES_MAX = 64;
export const WINDOW_BYTES = 32 * MIB;
/** What the server has, as a PONG shows, and has not answered for so long waits for its storage, and counts as load of its path no more. */
export const HELD_BY_STORAGE_MS = 2_000;
/** Threads of a server process for storage that is not cached. One volume has half of them at most: as many as was measured best for reads of 8 KiB. */
export const STORAGE_THREADS = 16;
/** READs that the server reads again for late copies, in bytes of all together: they are outside of the window. */
export const REREAD_MAX_BYTES = 8 * MIB;
export const PATHS_PER_TRUNK_MAX = 64;
export const DEAD_PATHS_NAMED_MAX = 128;
export const HANDLES_PER_SESSION_MAX = 1024;
/** When fewer than one of so many of a session's handle numbers are left, the server ends it at the next quiet moment: the next has others. */
export const HANDLE_NUMBERS_LOW_PART = 20;
/** Such a moment: nothing that it executes has taken longer so far. */
export const SESSION_QUIET_MS = 100;
export const SERVERS_PER_CLIENT_MAX = 256;
export const INTERFACES_MAX = 8;
export const CLIENTS_MAX = 4096;
export const VOLUMES_MAX = 16384;
export const NAME_MAX_BYTES = 63;
/** Segments into which the client cuts large I/O; shorter ones, of this at least, where there would be less of them than paths. */
export const SEGMENT_BYTES = 256 * KIB;
export const SEGMENT_MIN_BYTES = 128 * KIB;
/** Size of one output buffer: the largest frame, and room to go on batching behind it. */
export const OUTPUT_BUFFER_BYTES = BODY_MAX_BYTES + 128 * KIB;
/** Filled output at which a batch is sent without waiting for the end of the event; less after events that said little (wire/encoder.ts). */
export const OUTPUT_BATCH_BYTES = 256 * KIB;
export const OUTPUT_BATCH_MIN_BYTES = 64 * KIB;
/** Answers queued on one path at which the server lets READs wait: what waits for longer has left the processor's cache when it leaves. */
export const ANSWERS_QUEUED_MAX_BYTES = MIB;
/**
 * Answers that a client has not read, with those of READs under way, over all paths of its session: above it a path that has more than a
 * segment of them lets READs wait. Who keeps the window never meets it.
 */
export const ANSWERS_UNREAD_MAX_BYTES = WINDOW_BYTES + REREAD_MAX_BYTES;
/** Output queued on one path at which the client prefers to hold requests back, and a probe that reads nothing is closed. */
export const OUTPUT_QUEUED_MAX_BYTES = 4 * MIB;
/** Output queued at which a peer that reads nothing loses a path: on that path at the client, on all paths of its session at the server. */
export const OUTPUT_HARD_MAX_BYTES = 64 * MIB;
export const OUTPUT_BUFFERS_POOLED_MAX = 16;
export const RECEIVE_BUFFER_BYTES = 256 * KIB;
/** Parts of answers that come in several frames (a list of all volumes), kept for one path. */
export const ANSWER_PARTS_MAX_BYTES = 64 * MIB;
/** What a part takes besides its own bytes, so that empty ones have a bound too. */
export const ANSWER_PART_COST_BYTES = 256;

// --- messages: what one may hold (lists of paths, slots, extents: with their subject)
export const MESSAGE_DEPTH_MAX = 8;
export const VERSIONS_OFFERED_MAX = 16;
export const FEATURES_OFFERED_MAX = 32;
export const INTERFACES_NAMED_MAX = 64;
export const VOLUMES_PER_FRAME_MAX = 1024;
/** Holders of one volume that a message names; there may be more. */
export const HOLDERS_NAMED_MAX = 32;
/** So short that a HELLO with all of its features fits before the proof. */
export const FEATURE_NAME_MAX_CHARS = 32;
/** Error codes, addresses. */
export const SHORT_TEXT_MAX_CHARS = 64;
/** Ids, a verifier's parts, types. */
export const TOKEN_MAX_CHARS = 128;
export const SENTENCE_MAX_CHARS = 400;
export const UNIVERSE_MAX = 3;
export const LBA_MAX = 2 ** 48 - 1;

// --- handshake
export const PROOF_TIMEOUT_MS = 5_000;
/** A client waits so long for CHALLENGE, and for WELCOME to a join, which need no work of the server; each time that was too short, twice. */
export const HANDSHAKE_PATIENCE_MS = 1_000;
/** Connections of one address that are not proved; one more, or one more than all addresses may have: the oldest of them gives way. */
export const UNPROVEN_PER_ADDRESS_MAX = 16;
export const UNPROVEN_MAX = 256;
/** Memory kept for bodies before the proof: they are small. */
export const UNPROVEN_POOL_BYTES = 64 * KIB;
/** Wrong proofs of one node from one address: so many at once, and then one in such a time. A machine that is known counts by itself. */
export const FAILED_PROOFS_AT_ONCE = 10;
export const FAILED_PROOF_EACH_MS = 3_000;
/** The same of one node from all addresses together; machines that are known are neither counted nor kept waiting here. */
export const FAILED_PROOFS_OF_NODE_AT_ONCE = 100;
export const FAILED_PROOF_OF_NODE_EACH_MS = 200;
/** Of each of these, nodes (with addresses) remembered; past it a new one counts as the one that owes least. */
export const FAILED_PROOFS_REMEMBERED_MAX = 4096;
/** IPv6 addresses with so many leading bits in common are one place before the proof: whoever has one has them all. */
export const SOURCE_PREFIX_LENGTH_6 = 64;
/** Lines of one kind that others cause and that are logged one by one within the time; of the rest only how many they were. */
export const FREQUENT_LINES_MAX = 32;
export const FREQUENT_LOG_MS = 60_000;
/** Of strangers' refusals, all of which are one kind. */
export const REFUSALS_LOGGED_MAX = 256;
/** Kinds that one process counts; what is more shares one. */
export const FREQUENT_KINDS_MAX = 1_024;
export const NONCE_BYTES = 32;
export const MAC_BYTES = 32;
export const SESSION_ID_BYTES = 16;
export const KEY_RECOMMENDED_MIN_CHARS = 16;

// --- choosing a path
/** A path's rate is looked at in spells of this length, or of a round trip if that is longer, or until nothing is out on it any more. */
export const RATE_SPELL_MS = 20;
/** What is out waits for the link when it takes longer than so many round trips: then a spell shows how fast the path is, else at least how. */
export const RATE_FULL_TRIPS = 2;
/** How much one spell may move the estimate; one with less than these bytes, or (down) shorter than RATE_SPELL_MS, moves it in proportion. */
export const RATE_GAIN_MAX = 0.5;
export const RATE_RISE_FULL_BYTES = 16 * KIB;
export const RATE_FALL_FULL_BYTES = 64 * KIB;
/** An estimate of a path that was not used for so long is not relied on: until measured again little is out on it at a time, first this. */
export const RATE_AGES_MS = 10_000;
export const FLIGHT_FIRST_BYTES = 128 * KIB;
/** Paths of at least this share of the best rate count as equally fast. */
export const RATE_SAME_SHARE = 0.7;
/** Assumed while nothing at all is measured: 1 Gbit/s. */
export const RATE_GUESS_BYTES_PER_MS = 117_000;
/** What any request costs beside its bytes: so that those without any are spread too. */
export const REQUEST_COST_MS = 0.005;
/** An idle path is used beside a busy one though it takes so much longer: a difference so small is mostly chance. */
export const IDLE_SAME_MS = 5;
export const IDLE_SAME_PART = 16;
/** More than this is not put ahead on one path, but for so many bytes: what waits in the trunk can still go anywhere. */
export const AHEAD_MAX_MS = 500;
export const AHEAD_MIN_BYTES = MIB;
/** A path is overdue when it was silent for this and so many round trips longer than its answer takes by its rate. */
export const OVERDUE_GRACE_MS = 20;
export const OVERDUE_TRIPS = 4;
/**
 * A path that was not used for this long in one direction gets a copy of a request that goes elsewhere, of one among so many at most, if that
 * takes no longer than this there; while slots are plenty, no longer than such a part of the time for which it was not used, up to a bound.
 */
export const RATE_PROBE_IDLE_MS = 500;
/** A prime: an application that does the same over and over is not always met at the same request. */
export const RATE_PROBE_SHARE = 31;
export const RATE_PROBE_MAX_MS = 250;
export const RATE_PROBE_TIME_PARTS = 8;
export const RATE_PROBE_LONGEST_MS = 2000;
/** No path is taken for slower, so that the time for a copy is found: 1.4 Mbit/s, by which a segment takes three quarters of the longest. */
export const RATE_MIN_BYTES_PER_MS = SEGMENT_BYTES / (RATE_PROBE_LONGEST_MS * 0.75);
/** A READ is late after this, and after so many times what READs take (mean and four deviations); looked for so often. */
export const HEDGE_MIN_MS = 30;
export const HEDGE_FACTOR = 3;
export const HEDGE_LOOK_MS = 10;
/** Late READs that are asked for on a second path at a time; fewer of a server that grants fewer slots. */
export const HEDGES_MAX = SLOTS / 16;
/** How far one READ moves the mean and the deviation. */
export const READ_TIME_GAIN = 1 / 16;
/**
 * Round trips that are longer than the best by less than this, or than twice the best, count for one part of so many: on a LAN they are mostly
 * the chance of a processor, and must not leave a cable unused.
 */
export const TRIP_SAME_MS = 20;
export const TRIP_SAME_PART = 16;
/** How far one measured round trip moves the estimate: a shorter one is nearer to the truth. */
export const TRIP_GAIN_UP = 1 / 8;
export const TRIP_GAIN_DOWN = 1 / 2;

// --- liveness (defaults; heartbeat, suspect and dead can be set per namespace)
export const HEARTBEAT_INTERVAL_MS = 1_000;
export const SUSPECT_AFTER_MS = HEARTBEAT_INTERVAL_MS / 5;
export const SUSPECT_SRTT_FACTOR = 8;
export const DEAD_AFTER_MS = 3 * HEARTBEAT_INTERVAL_MS;
/** Heartbeats without a sign after which a direction of a path is shown as failed; less than `dead`, so that it shows while the path lives. */
export const DIRECTION_FAIL_HEARTBEATS = 2;
/** A server that was heard within this many heartbeats is there: another process that answers in its name is not met meanwhile. */
export const HEARD_HEARTBEATS = 2;
/** A volume without any completion for this long, though its paths are up, says for what it waits; looked at so often. */
export const SLOW_STORAGE_MS = DEAD_AFTER_MS + 2 * HEARTBEAT_INTERVAL_MS;
export const SLOW_STORAGE_LOOK_MS = SLOW_STORAGE_MS / 5;
/** How often a trunk looks at its paths: so often within `suspect`, but within these bounds. */
export const LIVENESS_TICKS_PER_SUSPECT = 4;
export const LIVENESS_TICK_MIN_MS = 5;
export const LIVENESS_TICK_MAX_MS = 50;
export const CONNECT_TIMEOUT_MS = 3_000;
/** How long a closed connection may take to send its last words. */
export const LAST_WORDS_TIMEOUT_MS = 1_000;
/** Changes of what servers name, and of which paths live, are followed together after this. */
export const ROUTES_FOLLOW_MS = 20;
/** A path that only waited for its trunk's first handshake tries again after this. */
export const JOIN_RETRY_MS = 100;
/** Connections of a namespace that are being set up at a time, and for how long one of them keeps the others waiting. */
export const CONNECTS_AT_ONCE_MAX = 32;
export const CONNECT_TURN_MS = 100;
/** While the first handshake of a session takes longer than this, a path that waits for it takes over; doubling each time. */
export const FIRST_HANDSHAKE_PATIENCE_MS = 300;
/** A path that was up for this long has shown that it works: when it breaks, it is tried again within RECONNECT_FIRST_MS. */
export const PATH_SETTLED_MS = 500;
export const RECONNECT_FIRST_MS = 20;
export const RECONNECT_MIN_MS = 100;
export const RECONNECT_MAX_MS = 5_000;
/** Each wait is longer than the one before by this factor: so much of an outage may pass once more before its end is seen. */
export const RECONNECT_GROWTH = 1.5;
/** The same while nobody is there to be met: a try costs next to nothing then, and a server that comes back should be seen at once. */
export const RECONNECT_AWAY_GROWTH = 1.05;
/** After a proof that was refused (E_AUTH), the next one: it doubles up to the longest. A changed configuration is tried at once. */
export const WRONG_KEY_RETRY_MIN_MS = 5_000;
export const WRONG_KEY_RETRY_MAX_MS = 30_000;
/** An OPEN that was refused after the volume had been open is tried again after this. */
export const REOPEN_RETRY_MS = 1_000;
/** A volume that came back read-only, shared or in other blocks is asked for anew after this; each time takes a handle number. */
export const UNFIT_RETRY_MS = 5_000;
/** A session whose handles are used up although no more than these are open is left for a new one, which is done once in this time. */
export const HANDLES_FEW = 512;
export const SESSION_RENEW_MS = 5_000;
/** CLOSEs of a detached volume in one session, answered STALE and so said to a new handle, or refused; past it the hold stays, which is said. */
export const CLOSE_TRIES_MAX = 10;
/** A server that has heard nothing from a path for this long closes it. */
export const SERVER_DEAD_AFTER_MS = 15_000;
export const PROBATION_DEATHS = 3;
export const PROBATION_WINDOW_MS = 60_000;
export const PROBATION_MS = 30_000;
/** How long the server keeps a session none of whose paths lives. */
export const SESSION_LINGER_MS = 600_000;
/** A path on an interface that left the server's list is closed by the server after this, if its client did not retire it before. */
export const UNLISTED_PATH_MS = 5_000;

// --- exploration (UDP)
/** Largest datagram that UDP can carry over IPv4. */
export const DATAGRAM_MAX_BYTES = 65_507;
/** Headers of IPv4 and UDP before a datagram: it goes through an MTU of so many bytes more. */
export const DATAGRAM_HEADERS_BYTES = 28;
/** Every request is padded to this at least, and every answer fits in it, so that nobody can be flooded through a server. */
export const BEACON_REQUEST_BYTES = 1_360;
export const BEACON_MESSAGE_MAX_BYTES = 1_300;
export const BEACON_NONCE_BYTES = 16;
/** Asked of the kernel for each UDP socket: a broadcast is answered by many at once. */
export const DATAGRAM_BUFFER_BYTES = MIB;
/** How long an exploration listens; the requests are sent BEACON_ROUNDS times in its first half. */
export const BEACON_WAIT_MS = 1_000;
export const BEACON_ROUNDS = 3;
/** Addresses that are asked besides the broadcasts. */
export const BEACON_TARGETS_MAX = 256;
/** Answers that an exploration takes; what comes later is counted. */
export const BEACON_ANSWERS_MAX = 1_024;
/** Findings of one kind; past it they are counted. */
export const FINDINGS_PER_KIND_MAX = 16;
/** Answers of a server to one address: at once, and each second after that. */
export const BEACON_BURST_PER_SOURCE = 64;
export const BEACON_RATE_PER_SOURCE = 16;
/** Answers of a server to all strangers together: at once, and each second after that. */
export const BEACON_BURST = 1_024;
export const BEACON_RATE = 256;
/** Besides these those to who signs rightly, or asks from an address from which somebody has proved itself, and how many of such are known. */
export const BEACON_BURST_KNOWN = 256;
export const BEACON_RATE_KNOWN = 64;
export const KNOWN_ADDRESSES_MAX = 4_096;
/** When next to no answers are left, who had one within this time gets none. */
export const BEACON_SCARCE_MS = 10_000;
/** Addresses whose answers are counted; past it the one that asked longest ago is forgotten. */
export const BEACON_SOURCES_MAX = 4_096;
/** How often a server logs what it did not answer, at most, and looks again at its interfaces' speeds and MTUs. */
export const BEACON_DROPS_LOG_MS = 60_000;
export const BEACON_FACTS_MS = 10_000;

// --- probes
export const PROBE_CONNECTIONS_MAX = 4;
/** Of them for one node, so that none keeps all the others out. */
export const PROBES_PER_NODE_MAX = 2;
/** A server ends a probe connection after this time, or this many bytes both ways. */
export const PROBE_TIME_MAX_MS = 10_000;
export const PROBE_BYTES_MAX = 2 * 1024 * MIB;
export const PROBE_SLOTS = 16;
export const PROBE_WINDOW_BYTES = PROBE_SLOTS * SEGMENT_BYTES;
/** READ data that a server says in one turn of its loop, and lets pile up for one probe. */
export const PROBE_TURN_BYTES = 8 * SEGMENT_BYTES;
export const PROBE_PINGS = 8;
/** How long a burst asks for data, each way. */
export const PROBE_BURST_MS = 200;
/** A burst has so much under way as the rate seen so far moves in this time, and this at least. */
export const PROBE_AHEAD_MS = 50;
export const PROBE_AHEAD_MIN_BYTES = 64 * KIB;
export const PROBE_BURST_MAX_BYTES = PROBE_BYTES_MAX / 4;
/** Of several probes one after the other none begins later than this: who asked a daemon for them still waits. */
export const PROBES_TIME_MAX_MS = 40_000;
/** A probe waits this long for any one answer. */
export const PROBE_ANSWER_TIMEOUT_MS = 3_000;
export const PROBE_DATAGRAM_TIMEOUT_MS = 300;
/** How often a datagram of one size is sent at most, to show that it goes through. */
export const PROBE_DATAGRAM_TRIES = 3;

// --- processes
export const SPARE_WORKERS = 1;
/** Processes that serve clients, for each core of the machine, when rssrvcfg says nothing: some 12 MiB each. */
export const PROCESSES_PER_CORE = 8;
export const WORKER_START_TIMEOUT_MS = 10_000;
/** A client that was told E_DRAINING comes again within this. */
export const DRAINING_RETRY_MS = 1_000;
/** A newcomer waits this long for the end of its node's old session, then it is told to come again. */
export const OLD_SESSION_WAIT_MS = 3_000;
/** A session whose last path went this long ago does not keep an instance on another machine, or in another boot, out. */
export const SESSION_SILENT_MS = 3_000;
/** So long after a start of rssrv, whoever held something before counts as heard: its paths come back within RECONNECT_MAX_MS. */
export const HOLDER_RETURN_MS = 10_000;
/** Instance numbers of a client; the one above the last marks that as replaced and must be exact, too. */
export const INSTANCE_MAX = Number.MAX_SAFE_INTEGER - 1;
/** Machines, and replaced processes, of one node that are remembered; of more, the oldest are forgotten. */
export const NODE_MACHINES_MAX = 16;
export const NODE_REPLACED_MAX = 16;
/** Of what tells the storage of a volume from others. */
export const STORAGE_STAMP_MAX_CHARS = 128;
/** A worker that was told to end answers what it began, flushes and ends within this; then it is killed. */
export const WORKER_DRAIN_TIMEOUT_MS = 20_000;
/** A process whose client loses a volume ends what executes on it, flushes and closes it within this; then it is told to end. */
export const TAKE_OVER_REVOKE_MS = 5_000;
/** What was written and not synced for this long the server syncs by itself, so that an error of the kernel's write-back comes to light. */
export const SELF_SYNC_MS = 5_000;
/** OPENs of one volume that wait for a change of its holds; one more is told to come again. */
export const HOLD_CHANGES_WAITING_MAX = 1_024;
/** Refused OPENs of which a listener remembers that it has logged them. */
export const HOLD_REFUSALS_REMEMBERED_MAX = 1_024;
/** Volumes that a listener syncs at a time, each in a process of its own: storage that hangs keeps one. */
export const STORAGE_SYNCS_MAX = 64;
/** So long a take-over waits for the sync of its volume; then it is refused, and the sync goes on. */
export const STORAGE_SYNC_WAIT_MS = 15_000;
/** Last words leave a worker's sockets, and its last message the channel, before the process goes. */
export const WORKER_LAST_WORDS_MS = 20;
/** How often a listener looks whether the workers of its predecessor are gone. */
export const OLD_WORKER_POLL_MS = 50;
/** How often a starting rsiod looks whether its servers were reached. */
export const FIRST_CONTACT_POLL_MS = 20;
/** How often a server tries again to listen on an address that its machine does not have. */
export const MISSING_ADDRESS_RETRY_MS = 1_000;
export const DAEMON_START_TIMEOUT_MS = 30_000;
/** A daemon that did not become ready in time is asked to end, and killed after this. */
export const DAEMON_END_GRACE_MS = 2_000;
export const FIRST_CONTACT_WAIT_MS = 3_000;
/** Addresses of which its start tells at the prompt what their servers said; the rest is counted. */
export const REFUSALS_TOLD_MAX = 16;
/** How long rsconfig -a and -d wait for the server, and how long a list may take that was asked for. */
export const ATTACH_WAIT_MS = 10_000;
export const DETACH_WAIT_MS = 10_000;
/** The same for a take-over: the server may have to end the old holder's process, and syncs the volume. */
export const TAKE_OVER_WAIT_MS = 45_000;
/** A daemon that ends gives its volumes this long to be flushed and closed. */
export const STOP_WAIT_MS = 10_000;
/** More for each volume, whose devices are taken away, and at most: systemd waits for 60 s. */
export const STOP_VOLUME_MS = 50;
export const STOP_WAIT_MAX_MS = 45_000;
/** For the whole end of rsiod, as rsconfig waits for it. */
export const DAEMON_STOP_WAIT_MS = 60_000;
export const LIST_WAIT_MS = 2_000;
/** That wait for one server's list at a time; who has waited longest gives up for the next. */
export const LIST_WAITERS_MAX = 1_024;
/** How often rsiod looks whether a volume that was attached before its start is offered, and how soon it tries again what failed. */
export const RESTORE_POLL_MS = 1_000;
export const RESTORE_RETRY_MS = 5_000;
/** Volumes of which rsiod remembers over a restart that a person has detached them; past it the oldest are forgotten. */
export const DETACHED_KEPT_MAX = 16_384;

// --- configuration
export const PORT_DEFAULT = 5_000;
export const PORT_MAX = 65_535;
export const NAMESPACEID_MAX = 65_535;
export const SERVERID_MAX = 255;
export const KEY_MAX_CHARS = 256;
/** Length of a key that `rsconfig key new` makes: more than 150 bits of 30 letters. */
export const KEY_NEW_CHARS = 32;
/** Half a configuration that somebody began to save so long ago was left behind by a crash. */
export const CONFIG_SAVE_MAX_MS = 30_000;
/** A tool that finds the file changed, or being saved, begins anew so often, after this. */
export const CONFIG_RETRIES = 40;
export const CONFIG_RETRY_MS = 25;
/** Symbolic links that lead to a configuration file, one to the next. */
export const CONFIG_LINKS_MAX = 16;
/** What is read of a file or of stdin that is to hold one key. */
export const INPUT_MAX_BYTES = 4 * KIB;
export const PATH_MAX_BYTES = 4_095;
/** Of one file's name, without folders; as the kernel has it. */
export const FILE_NAME_MAX_BYTES = 255;
export const CONFIG_FILE_MAX_BYTES = 16 * MIB;
/** `[server]` sections of one client: each server has one per interface. */
export const SERVER_SECTIONS_MAX = SERVERS_PER_CLIENT_MAX * INTERFACES_MAX;
/** End points that a client remembers a server to have named; past it the oldest is forgotten. */
export const END_POINTS_REMEMBERED_MAX = 4 * INTERFACES_NAMED_MAX;
export const NAMESPACES_PER_CLIENT_MAX = 256;
export const HEARTBEAT_MIN_MS = 50;
export const HEARTBEAT_MAX_MS = 60_000;
export const SUSPECT_MIN_MS = 10;
export const DEAD_MAX_MS = 600_000;
export const STALL_MS = 600_000;
export const STALL_MIN_MS = 100;
/** A week; a timer cannot wait longer than 2^31 ms. */
export const STALL_MAX_MS = 604_800_000;
/** With `stall = fail`: so long a lost connection may take to come back, and a volume to be opened again, before its I/O fails. */
export const STALL_FAIL_GRACE_MS = 1_000;
/** How often a halted volume looks at the time, and by how much a look must be late for rsiod to have stood still. */
export const STALL_LOOK_MS = 500;
export const STALL_LATE_MS = 100;
export const REPLAY_LOG_BYTES = 64 * MIB;
export const REPLAY_LOG_MAX_BYTES = 1024 * MIB;
/** All replay logs of a client together (`log-total`): eight of the size that one has by default. */
export const LOG_TOTAL_BYTES = 8 * REPLAY_LOG_BYTES;
export const LOG_TOTAL_MIN_BYTES = MIB;
export const LOG_TOTAL_MAX_BYTES = 64 * 1024 * MIB;
/** Past the half of it, the largest log is flushed each time that so large a part more is taken. */
export const LOG_TOTAL_STEPS = 16;
/** A log whose oldest is older is flushed, looked for so often: together less than SELF_SYNC_MS, so that the server has nothing to sync then. */
export const LOG_FLUSH_AGE_MS = 4_000;
export const LOG_LOOK_MS = 500;
/** Data of a replay log is kept in aligned cells of this size, in slabs of so many cells. */
export const REPLAY_CELL_BYTES = 4 * KIB;
export const REPLAY_SLAB_CELLS = 64;
/** What a cell takes besides its data; and what a range takes that was zeroed or discarded. */
export const REPLAY_CELL_COST_BYTES = 128;
export const REPLAY_RANGE_COST_BYTES = 128;
/** Ranges zeroed or discarded that one log keeps. */
export const REPLAY_RANGES_MAX = 16_384;
/** Idle slabs that all logs of a client keep together for re-use. */
export const REPLAY_SLABS_POOLED_MAX = 128;
/** Requests of a replay under way at a time; each has a buffer of SEGMENT_BYTES. */
export const REPLAY_REQUESTS_OUT_MAX = 16;

// --- local interfaces
export const CONTROL_LINE_MAX_BYTES = 4 * MIB;
export const CONTROL_CONNECTIONS_MAX = 64;
/** Answers may list every volume of a namespace, so they may be longer than requests. */
export const CONTROL_ANSWER_MAX_BYTES = 64 * MIB;
/** Requests of one control connection whose answers are not yet written; past it the connection is not read. */
export const CONTROL_REQUESTS_OUT_MAX = 16;
/** A daemon answers at once what it knows; one that has said nothing for so long hangs, or was stopped. */
export const CONTROL_ANSWER_MS = 10_000;
/** What a daemon must do something for may take this long, as long as it answers at all. */
export const CONTROL_TIMEOUT_MS = 60_000;
export const UNIX_PATH_MAX_BYTES = 107;
export const NBD_CONNECTIONS_MAX = 256;
/** Connections beyond that are told so, this many at a time and so long; what is beyond that again is closed without a word. */
export const NBD_REFUSED_MAX = 16;
export const NBD_REFUSED_TIMEOUT_MS = 5_000;
/** They are logged this rarely. */
export const NBD_REFUSED_LOG_MS = 60_000;
export const NBD_REQUEST_MAX_BYTES = 32 * MIB;
/** Requests, and bytes of them, that one NBD connection may have out before it is not read any more. */
export const NBD_REQUESTS_OUT_MAX = 256;
export const NBD_BYTES_OUT_MAX = 64 * MIB;
/** Data of one NBD option that is kept; a longer one is dropped as it comes and refused. */
export const NBD_OPTION_MAX_BYTES = 16 * KIB;
/** Replies with less data than this are copied into the batch; others go out of their own buffer. */
export const NBD_REPLY_COPY_MAX_BYTES = 64 * KIB;
/** What is received from an NBD client at once: of a burst of WRITEs the first are sent on while the next come in. */
export const NBD_RECEIVE_BYTES = 128 * KIB;
/** Copied replies that leave the NBD door together: a Unix socket takes some 200 KiB at once. */
export const NBD_BATCH_BYTES = 128 * KIB;
/** Data of requests of all NBD connections together; past it each connection may have one request out (a large one: NBD_DOOR_RESERVE_BYTES). */
export const NBD_DOOR_BYTES_MAX = 256 * MIB;
/** Idle data buffers that the NBD door keeps for all its connections together; what of them is not used for so long is given back. */
export const NBD_POOLED_BYTES_MAX = 64 * MIB;
export const NBD_POOLED_LOOK_MS = 5_000;
/** Batches on their way to one NBD client at which further replies are gathered until one has left. */
export const NBD_BATCHES_SENDING_MAX = 2;
export const NBD_BATCHES_POOLED_MAX = 16;
/** An NBD client that has not chosen an export within this loses its connection. */
export const NBD_HANDSHAKE_TIMEOUT_MS = 60_000;
/** How long a stopping NBD door waits for what is under way. */
export const NBD_STOP_TIMEOUT_MS = 5_000;
/** Data of one READ or WRITE of a raw device; the kernel cuts what is longer. */
export const FUSE_DATA_MAX_BYTES = MIB;
/** Requests of its own accord (those of loop devices among them) that the kernel has out at a raw device at a time. */
export const FUSE_BACKGROUND_MAX = 256;
/** Requests, and bytes of their buffers, that one raw device may have out before its descriptor is not read any more. */
export const FUSE_REQUESTS_OUT_MAX = 1_024;
export const FUSE_BYTES_OUT_MAX = 64 * MIB;
/** Requests that are read in one turn of the loop, besides the first. */
export const FUSE_DRAIN_MAX = 32;
/** Data of a WRITE up to which it is copied out of the buffer it was read into. */
export const FUSE_COPY_MAX_BYTES = 64 * KIB;
export const FUSE_POOLED_BYTES_MAX = 64 * MIB;
/** After an interrupt a request that only reads is waited for so long before its program gets EINTR. */
export const FUSE_INTERRUPT_MS = 1_000;
/** What a raw device asks for at a time when it looks for data or holes. */
export const FUSE_SEEK_BYTES = 1024 * MIB;
/** Volumes that are attached or detached at a time when many are: each of them may run mount and losetup. */
export const VOLUMES_AT_ONCE = 16;
/** How long mount, umount and losetup may take, and a device to be gone after that. */
export const DEVICE_COMMAND_TIMEOUT_MS = 10_000;
export const DEVICE_GONE_WAIT_MS = 5_000;
export const DEVICE_GONE_POLL_MS = 20;
/** A device that is taken away by force is given so long to write what it has. */
export const DEVICE_FORCE_MS = 3_000;
/** What such a command says that is kept. */
export const DEVICE_COMMAND_OUTPUT_MAX_BYTES = 64 * KIB;
/** Users of a device that a refusal names; the rest is counted. */
export const DEVICE_USERS_NAMED_MAX = 5;
/** Open files that are looked at to find who uses a device. */
export const DEVICE_USERS_LOOKED_MAX = 100_000;
/** The keeper asks the working process so often whether it lives, and takes it for hanging when it has not answered for so long. */
export const KEEPER_QUIET_SECONDS = 5;
export const KEEPER_SILENCE_SECONDS = 60;
/** Ends of rsiod's working process in a row, each within KEEPER_SETTLED_MS of its start, after which it is not started anew. */
export const KEEPER_LIVES_MAX = 30;
export const KEEPER_SETTLED_MS = 60_000;
/** Before the second such start, and before the later ones at most; it doubles. */
export const KEEPER_PAUSE_MIN_MS = 200;
export const KEEPER_PAUSE_MAX_MS = 5_000;
/** For an answer of the keeper, which does nothing else. */
export const KEEPER_ANSWER_MS = 5_000;
/** Descriptors that the keeper holds: one for each device. */
export const KEPT_DEVICES_MAX = 4_096;
/** What is told of one of them. */
export const KEPT_NOTE_MAX_BYTES = 16 * KIB;
/** For I/O under way and the last flush, before rsiod begins anew under its devices: what is left over then is sent again. */
export const HAND_OVER_WAIT_MS = 3_000;
/** From the answer to `restart` or `stop` to the end of the process. */
export const RESTART_ANSWER_MS = 100;
export const EVENTS_KEPT = 1_000;
/** How often carriers are looked at where no program tells of changes: requests of a path without carrier go elsewhere within 100 ms. */
export const CARRIER_POLL_MS = 100;
export const MONITOR_RESTART_MIN_MS = 100;
export const MONITOR_RESTART_MAX_MS = 30_000;
export const IP_LIST_TIMEOUT_MS = 5_000;
export const IP_LIST_MAX_BYTES = 4 * MIB;
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

assert(KEY_NEW_CHARS > KEY_RECOMMENDED_MIN_CHARS && KEY_NEW_CHARS <= KEY_MAX_CHARS, 'A new key must be a good one');
assert(SLOTS_RESERVED < SLOTS / 4, 'Reserved slots leave too few for data');
assert(PATHS_PER_TRUNK_MAX < SLOTS, 'More paths than slots');
assert(OUTPUT_BUFFER_BYTES >= HEADER_BYTES + BODY_MAX_BYTES + 2 * DIGEST_BYTES, 'An output buffer must hold the largest frame');
assert(
  OUTPUT_QUEUED_MAX_BYTES + SLOTS * MESSAGE_MAX_BYTES < OUTPUT_HARD_MAX_BYTES,
  'A well-behaved peer must never meet the hard output bound',
);
assert(ANSWERS_QUEUED_MAX_BYTES <= OUTPUT_QUEUED_MAX_BYTES, 'READs must wait before the bounds of all output are met');
assert(
  ANSWERS_UNREAD_MAX_BYTES + SLOTS * MESSAGE_MAX_BYTES < OUTPUT_HARD_MAX_BYTES,
  'Who keeps window and slots loses no path for what he has not read yet',
);
assert(WINDOW_BYTES >= 2 * BODY_MAX_BYTES, 'The window must let two largest requests out');
assert(REREAD_MAX_BYTES >= BODY_MAX_BYTES, 'The largest READ must be allowed to be read again');
assert(STALL_FAIL_GRACE_MS > RECONNECT_MIN_MS * 3, 'A lost path must be tried again more than once before I/O fails');
assert(
  REPLAY_CELL_BYTES % SECTOR_BYTES === 0 && SEGMENT_BYTES % REPLAY_CELL_BYTES === 0 && Number.isInteger(Math.log2(REPLAY_SLAB_CELLS)),
  'A request of a replay is whole cells, and a slab a power of two of them',
);
assert(LOG_FLUSH_AGE_MS + LOG_LOOK_MS < SELF_SYNC_MS, 'A client flushes its log before the server syncs by itself');
assert(SLOTS * 2 < REPLAY_RANGES_MAX, 'The ranges that a replay log keeps for requests with FUA leave too few');
assert(HOLD_CHANGES_WAITING_MAX >= 2 * SLOTS, 'All OPENs of one session must leave others room');
assert(
  TAKE_OVER_REVOKE_MS + WORKER_DRAIN_TIMEOUT_MS + STORAGE_SYNC_WAIT_MS < TAKE_OVER_WAIT_MS &&
    TAKE_OVER_WAIT_MS + LIST_WAIT_MS < CONTROL_TIMEOUT_MS,
  'Who asks for a take-over waits for as long as the server may take',
);
assert(SEGMENT_BYTES <= BODY_MAX_BYTES && SEGMENT_BYTES % SECTOR_BYTES === 0, 'A segment is one frame');
assert(
  SEGMENT_BYTES % SEGMENT_MIN_BYTES === 0 && SEGMENT_MIN_BYTES % REPLAY_CELL_BYTES === 0,
  'Segments are made of whole blocks and cells',
);
assert(RECONNECT_FIRST_MS < RECONNECT_MIN_MS && RECONNECT_MIN_MS < PATH_SETTLED_MS, 'First tries are short ones');
assert(FIRST_HANDSHAKE_PATIENCE_MS < HANDSHAKE_PATIENCE_MS && HANDSHAKE_PATIENCE_MS < PROOF_TIMEOUT_MS, 'Patience grows');
assert(DEAD_AFTER_MS > DIRECTION_FAIL_HEARTBEATS * HEARTBEAT_INTERVAL_MS, 'A failed direction shows before the path is dead');
assert(SLOW_STORAGE_MS > DEAD_AFTER_MS, 'A server that is gone is not taken for slow storage');
assert(SERVER_DEAD_AFTER_MS > DEAD_AFTER_MS, 'The client, which fences, closes a silent path before the server does');
assert(UNLISTED_PATH_MS > CONNECT_TIMEOUT_MS, 'Paths on a new interface are made before those on the old one are closed');
assert(SUSPECT_AFTER_MS < HEARTBEAT_INTERVAL_MS && HEARTBEAT_INTERVAL_MS * 2 < DEAD_AFTER_MS, 'suspect < heartbeat < dead / 2');
assert(SENTENCE_MAX_CHARS * 3 + 256 < HANDSHAKE_MESSAGE_MAX_BYTES, 'REFUSE with the longest sentence must fit before the proof');
assert(RECONNECT_MIN_MS < RECONNECT_MAX_MS, 'Back-off must grow');
assert(DEAD_PATHS_NAMED_MAX * 6 + 512 < HANDSHAKE_MESSAGE_MAX_BYTES, 'PROOF with all dead paths must fit before the proof');
assert(NBD_BYTES_OUT_MAX <= NBD_DOOR_BYTES_MAX, 'One NBD connection must be allowed all that it may have out');
assert(NBD_REQUEST_MAX_BYTES <= NBD_BYTES_OUT_MAX, 'The largest NBD request must be allowed out when nothing else is');
assert(NBD_REPLY_COPY_MAX_BYTES * 2 <= NBD_BATCH_BYTES, 'A batch must hold more than one copied reply');
assert(
  DEVICE_FORCE_MS < STOP_WAIT_MS && DEVICE_FORCE_MS < DEVICE_COMMAND_TIMEOUT_MS,
  'What is taken away by force is given up before its time is',
);
assert(FUSE_DATA_MAX_BYTES % 4096 === 0 && FUSE_COPY_MAX_BYTES < FUSE_DATA_MAX_BYTES, 'Data of a raw device is whole pages');
assert(PROBES_TIME_MAX_MS + PROBE_TIME_MAX_MS < CONTROL_TIMEOUT_MS, 'Who asks for probes must wait for the last one');
assert(PROBE_TURN_BYTES + SEGMENT_BYTES < OUTPUT_QUEUED_MAX_BYTES, 'A probe that reads its answers is never closed for them');
assert(2 * BODY_MAX_BYTES <= PROBE_WINDOW_BYTES && SLOTS_RESERVED < PROBE_SLOTS, 'WELCOME to a probe must be one');
assert(8 + BEACON_MESSAGE_MAX_BYTES + MAC_BYTES <= BEACON_REQUEST_BYTES, 'An answer must never be larger than its request');
assert(
  2 * PROBE_BURST_MAX_BYTES + 2 * PROBE_WINDOW_BYTES < PROBE_BYTES_MAX &&
    2 * (PROBE_BURST_MS + PROBE_ANSWER_TIMEOUT_MS) < PROBE_TIME_MAX_MS,
  'A well-behaved probe must never meet its bounds',
);
