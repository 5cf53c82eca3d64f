// Bounds for the code in rsiod's frontends/nbd/ folder. The names of the bounds contain their units. The bounds must satisfy the assertions
// at the end of this file. The file src/limits.ts asserts that these bounds agree with those of other folders.

import { assert } from '@rsio/common/lib/assert';

const KIB = 1024;
const MIB = 1024 * KIB;

export const NBD_CONNECTIONS_MAX = 256;
/**
 * Maximum number of connections that rsiod refuses with a message at the same time, and maximum time for each refusal. Any further
 * connection is closed without a message.
 */
export const NBD_REFUSED_MAX = 16;
export const NBD_REFUSED_TIMEOUT_MS = 5_000;
/** Minimum interval between log lines about refused connections. */
export const NBD_REFUSED_LOG_MS = 60_000;
export const NBD_REQUEST_MAX_BYTES = 32 * MIB;
/**
 * Maximum number of requests in flight on one NBD connection, and maximum total size of their data. While either maximum is reached, rsiod
 * takes no further requests from the connection.
 */
export const NBD_REQUESTS_OUT_MAX = 256;
export const NBD_BYTES_OUT_MAX = 64 * MIB;
/** Maximum number of metadata contexts that one client can select. Further contexts in the same request are ignored. */
export const NBD_CONTEXTS_SELECTED_MAX = 8;
/** Maximum number of older snapshots in a list of metadata contexts: the youngest ones. A client can select older ones by name. */
export const NBD_CONTEXTS_LISTED_MAX = 256;
/** Maximum length of the data of one NBD option. Longer data is discarded, and the option is refused. */
export const NBD_OPTION_MAX_BYTES = 16 * KIB;
/** A READ reply with less data than this is copied into the batch; a longer reply is sent from its own buffer. */
export const NBD_REPLY_COPY_MAX_BYTES = 64 * KIB;
/**
 * Maximum number of bytes received from an NBD client at once. The maximum is small, so that rsiod sends the first WRITEs of a burst while
 * later WRITEs are still arriving.
 */
export const NBD_RECEIVE_BYTES = 128 * KIB;
/** Maximum size of a batch of copied replies, which the NBD frontend sends together. A Unix socket accepts about 200 KiB in one call. */
export const NBD_BATCH_BYTES = 128 * KIB;
/**
 * Limit on the total memory for the requests of all NBD connections. Once the limit is reached, each connection may have only one request
 * in flight. A large request then counts against NBD_FRONTEND_RESERVE_BYTES.
 */
export const NBD_FRONTEND_BYTES_MAX = 256 * MIB;
/**
 * Maximum total size of the idle data buffers that the NBD frontend keeps for all connections. Buffers that stay unused for
 * NBD_POOLED_LOOK_MS are released.
 */
export const NBD_POOLED_BYTES_MAX = 64 * MIB;
export const NBD_POOLED_LOOK_MS = 5_000;
/** Maximum number of batches that are being sent to one NBD client. Further replies are collected until one batch has been sent. */
export const NBD_BATCHES_SENDING_MAX = 2;
export const NBD_BATCHES_POOLED_MAX = 16;
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
