// Bounds of rsiod's frontends/nbd/wire/ folder. Units are in the names.
// Invariant: the relations asserted below. src/limits.ts asserts that they agree with the bounds of other folders.

import { assert } from '@rsio/common/lib/assert';

const KIB = 1024;
const MIB = 1024 * KIB;

export const NBD_CONNECTIONS_MAX = 256;
/**
 * Maximum number of connections that are being refused with a message at the same time, and how long each refusal may take. Any further
 * connection is closed without a message.
 */
export const NBD_REFUSED_MAX = 16;
export const NBD_REFUSED_TIMEOUT_MS = 5_000;
/** Minimum interval between log lines about refused connections. */
export const NBD_REFUSED_LOG_MS = 60_000;
export const NBD_REQUEST_MAX_BYTES = 32 * MIB;
/**
 * Maximum number of requests, and maximum bytes of their data, in flight on one NBD connection. At the maximum, rsiod does not read from
 * the connection.
 */
export const NBD_REQUESTS_OUT_MAX = 256;
export const NBD_BYTES_OUT_MAX = 64 * MIB;
/** Maximum length of the data of one NBD option. A longer option is discarded on arrival and refused. */
export const NBD_OPTION_MAX_BYTES = 16 * KIB;
/** Data length below which a reply is copied into the batch. Other replies are sent from their own buffers. */
export const NBD_REPLY_COPY_MAX_BYTES = 64 * KIB;
/**
 * Maximum number of bytes received from an NBD client at once. At this size rsiod sends the first WRITEs in a burst while the next ones are
 * arriving.
 */
export const NBD_RECEIVE_BYTES = 128 * KIB;
/**
 * Maximum size in bytes of the batch of copied replies that the NBD frontend sends at once. A Unix socket accepts about 200 KiB at once.
 */
export const NBD_BATCH_BYTES = 128 * KIB;
/**
 * Limit for the total bytes of requests on all NBD connections. Once it is reached, each connection may have only one request in flight.
 * If that request is large, it counts against NBD_FRONTEND_RESERVE_BYTES.
 */
export const NBD_FRONTEND_BYTES_MAX = 256 * MIB;
/**
 * Maximum bytes of idle data buffers that the NBD frontend keeps for all connections. Buffers that stay unused for NBD_POOLED_LOOK_MS are
 * released.
 */
export const NBD_POOLED_BYTES_MAX = 64 * MIB;
export const NBD_POOLED_LOOK_MS = 5_000;
/** With this many batches in transit to one NBD client, further replies are collected until one batch has been sent. */
export const NBD_BATCHES_SENDING_MAX = 2;
export const NBD_BATCHES_POOLED_MAX = 16;
/** The frontend closes the connection of an NBD client that has not chosen an export within this time. */
export const NBD_HANDSHAKE_TIMEOUT_MS = 60_000;
/** How long a stopping NBD frontend waits for requests in flight. */
export const NBD_STOP_TIMEOUT_MS = 5_000;

/**
 * Bytes beyond NBD_FRONTEND_BYTES_MAX for large requests (more than NBD_SMALL_BYTES_MAX) of connections that have nothing else in flight.
 * Smaller requests are always allowed on such connections.
 */
export const NBD_FRONTEND_RESERVE_BYTES = 256 * MIB;
export const NBD_SMALL_BYTES_MAX = MIB;

assert(NBD_BYTES_OUT_MAX <= NBD_FRONTEND_BYTES_MAX, 'All requests that one NBD connection may have in flight must fit');
assert(NBD_REQUEST_MAX_BYTES <= NBD_BYTES_OUT_MAX, 'The largest NBD request must be allowed if nothing else is in flight');
assert(NBD_REPLY_COPY_MAX_BYTES * 2 <= NBD_BATCH_BYTES, 'A batch must hold more than one copied reply');
