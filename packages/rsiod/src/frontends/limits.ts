// Bounds of the frontends: devices, FUSE, loop devices, NBD. Units are in the names.
// Invariant: each bound is defined once, and relations between bounds are asserted here.

import { assert } from '@rsio/base/lib/assert';

const KIB = 1024;
const MIB = 1024 * KIB;

// --- frontends/devices

/** Time allowed for the users of a device to write their data before the device is forcibly removed. */
export const DEVICE_FORCE_MS = 3_000;
/** Maximum number of processes that an error message names as users of a device. Further processes are only counted. */
export const DEVICE_USERS_NAMED_MAX = 5;
/** Maximum number of open files that rsiod examines in one search for the users of devices. */
export const DEVICE_USERS_LOOKED_MAX = 100_000;

/**
 * A process counts as a user of a device if DEVICE_USERS_LOOKS_MAX successive walks through /proc find it. DEVICE_USERS_AGAIN_MS is the
 * pause between two walks.
 */
export const DEVICE_USERS_LOOKS_MAX = 4;
export const DEVICE_USERS_AGAIN_MS = 150;

/** Interval at which rsiod checks whether there is swap space on its devices. */
export const SWAP_LOOK_MS = 10_000;

/** Interval at which rsiod looks whether its block devices are still there, and which partitions they have. */
export const DEVICE_UPKEEP_MS = 10_000;

/** Pause after a program that grows devices has failed, before it is started again. */
export const DEVICE_GROW_AGAIN_MS = 5_000;

// --- frontends/fuse

/** Maximum length of the data in one READ or WRITE request for a raw device. The kernel splits longer requests. */
export const FUSE_DATA_MAX_BYTES = MIB;
/** Maximum number of background requests that the kernel keeps in flight to a raw device, including requests from loop devices. */
export const FUSE_BACKGROUND_MAX = 256;
/**
 * While FUSE_REQUESTS_OUT_MAX requests of a raw device are in flight, or while their buffers have FUSE_BYTES_OUT_MAX bytes or more, rsiod
 * reads no further requests for this device.
 */
export const FUSE_REQUESTS_OUT_MAX = 1_024;
export const FUSE_BYTES_OUT_MAX = 64 * MIB;
/** Maximum number of requests that rsiod reads from a device in one event-loop turn, in addition to the first request. */
export const FUSE_DRAIN_MAX = 32;
/**
 * Number of requests that are read in one system call, if the machine has asynchronous I/O. FUSE_REQUESTS_OUT_MAX and FUSE_BYTES_OUT_MAX
 * may therefore be exceeded by FUSE_READS_AT_ONCE - 1 requests.
 */
export const FUSE_READS_AT_ONCE = 8;
/**
 * One system call sends at most FUSE_REPLIES_AT_ONCE replies, of all raw devices together, with a total length of at most FUSE_BATCH_BYTES.
 * A reply longer than FUSE_BATCH_REPLY_BYTES is sent alone.
 */
export const FUSE_REPLIES_AT_ONCE = 64;
export const FUSE_BATCH_BYTES = MIB;
export const FUSE_BATCH_REPLY_BYTES = 32 * KIB;
/**
 * rsiod copies the data of a WRITE out of the receive buffer if the data is at most FUSE_COPY_MAX_BYTES long. Longer data stays in the
 * receive buffer. Idle buffers of all raw devices have at most FUSE_POOLED_BYTES_MAX bytes.
 */
export const FUSE_COPY_MAX_BYTES = 64 * KIB;
export const FUSE_POOLED_BYTES_MAX = 64 * MIB;
/** If a program is interrupted during a stalled read or seek, the call fails with EINTR after this time. */
export const FUSE_INTERRUPT_MS = 1_000;
/** Maximum length of the range whose extents rsiod requests at once in a search for data or holes. */
export const FUSE_SEEK_BYTES = 1024 * MIB;

assert(FUSE_DATA_MAX_BYTES % 4096 === 0 && FUSE_COPY_MAX_BYTES < FUSE_DATA_MAX_BYTES, 'Data of a raw device is whole pages');
assert(FUSE_DRAIN_MAX % FUSE_READS_AT_ONCE === 0, 'Requests are read in full batches');
assert(FUSE_BATCH_REPLY_BYTES <= FUSE_BATCH_BYTES, 'A batch has room for each reply that it takes');

// --- frontends/loop

export const DEVICE_GONE_WAIT_MS = 5_000;
export const DEVICE_GONE_POLL_MS = 20;

/**
 * rsiod removes unused nodes from /dev once no loop device has been released for LOOP_NODES_QUIET_MS. At most LOOP_NODES_AT_ONCE nodes are
 * removed at a time. The removal of a node is tried up to LOOP_NODES_TRIES times.
 */
export const LOOP_NODES_QUIET_MS = 500;
export const LOOP_NODES_AT_ONCE = 1_024;
export const LOOP_NODES_TRIES = 10;

// --- frontends/nbd

/** Maximum number of NBD connections, including those that other processes of this rsiod have. */
export const NBD_CONNECTIONS_MAX = 256;
/**
 * rsiod refuses at most NBD_REFUSED_MAX connections with a message at the same time, each within NBD_REFUSED_TIMEOUT_MS. Any further
 * connection is closed without a message.
 */
export const NBD_REFUSED_MAX = 16;
export const NBD_REFUSED_TIMEOUT_MS = 5_000;
/** Minimum interval between log lines about refused connections. */
export const NBD_REFUSED_LOG_MS = 60_000;
export const NBD_REQUEST_MAX_BYTES = 32 * MIB;
/**
 * While NBD_REQUESTS_OUT_MAX requests of an NBD connection are in flight, or while the next request would exceed NBD_BYTES_OUT_MAX bytes of
 * data in flight, rsiod takes no further requests from the connection.
 */
export const NBD_REQUESTS_OUT_MAX = 256;
export const NBD_BYTES_OUT_MAX = 64 * MIB;
/** Maximum number of metadata contexts that one client can select. Further contexts in the same request are ignored. */
export const NBD_CONTEXTS_SELECTED_MAX = 8;
/**
 * Maximum number of older snapshots in a list of metadata contexts. The list has the youngest ones; a client can still select the others by
 * name.
 */
export const NBD_CONTEXTS_LISTED_MAX = 256;
/** Maximum length of the data of one NBD option. Longer data is discarded, and the option is refused. */
export const NBD_OPTION_MAX_BYTES = 16 * KIB;
/**
 * The reply to a READ with less data than this is copied into the batch. The reply to a longer READ is sent from the buffer of the request.
 */
export const NBD_REPLY_COPY_MAX_BYTES = 64 * KIB;
/**
 * Maximum number of bytes received from an NBD client at once. The maximum is small, so that rsiod sends the first WRITEs of a burst while
 * later WRITEs are still arriving.
 */
export const NBD_RECEIVE_BYTES = 128 * KIB;
/** Maximum size of a batch of copied replies, which the NBD frontend sends together. A Unix socket accepts about 200 KiB in one call. */
export const NBD_BATCH_BYTES = 128 * KIB;
/**
 * Limit on the total memory for the requests of all NBD connections of all processes of rsiod. Once the limit is reached, each connection
 * may have only one request in flight. A large request then needs memory of NBD_FRONTEND_RESERVE_BYTES.
 */
export const NBD_FRONTEND_BYTES_MAX = 256 * MIB;
/**
 * Maximum total size of the idle data buffers that the NBD frontend keeps for all connections. Buffers that stay unused for
 * NBD_POOLED_LOOK_MS are released.
 */
export const NBD_POOLED_BYTES_MAX = 64 * MIB;
export const NBD_POOLED_LOOK_MS = 5_000;
/**
 * While NBD_BATCHES_SENDING_MAX batches are being sent to an NBD client, further replies are collected until one batch has been sent. At
 * most NBD_BATCHES_POOLED_MAX idle batches are kept for re-use.
 */
export const NBD_BATCHES_SENDING_MAX = 2;
export const NBD_BATCHES_POOLED_MAX = 16;
/**
 * Maximum number of bytes that are passed to another process together with a connection. The client has sent these bytes after its choice
 * of an export: the rest of one read, and the bytes that Node's socket has buffered.
 */
export const NBD_PASSED_BYTES_MAX = 3 * NBD_RECEIVE_BYTES;
/** The frontend closes the connection of an NBD client that has not chosen an export within this time. */
export const NBD_HANDSHAKE_TIMEOUT_MS = 60_000;
/** Maximum time that the stopping NBD frontend waits for requests in flight. */
export const NBD_STOP_TIMEOUT_MS = 5_000;

/**
 * Additional memory beyond NBD_FRONTEND_BYTES_MAX for connections that have no other request in flight. Requests of more than
 * NBD_SMALL_BYTES_MAX count against this memory; smaller requests are always allowed on such connections.
 */
export const NBD_FRONTEND_RESERVE_BYTES = 256 * MIB;
export const NBD_SMALL_BYTES_MAX = MIB;

assert(NBD_BYTES_OUT_MAX <= NBD_FRONTEND_BYTES_MAX, 'All requests that one NBD connection may have in flight must fit');
assert(NBD_REQUEST_MAX_BYTES <= NBD_BYTES_OUT_MAX, 'The largest NBD request must be allowed if nothing else is in flight');
assert(NBD_REPLY_COPY_MAX_BYTES * 2 <= NBD_BATCH_BYTES, 'A batch must hold more than one copied reply');

// --- frontends/system

/** Timeout for each run of a program such as mount, umount or losetup, and for the kernel's first request after a mount. */
export const DEVICE_COMMAND_TIMEOUT_MS = 10_000;
/** Maximum number of bytes that rsiod keeps from the output of a program such as mount. */
export const DEVICE_COMMAND_OUTPUT_MAX_BYTES = 64 * KIB;

// --- audience.ts

/** After a restart of rsiod, a gate takes no volume from programs for this time, because NBD clients need time to connect again. */
export const PROGRAMS_RETURN_MS = 60_000;
