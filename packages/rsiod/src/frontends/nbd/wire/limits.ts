// Bounds of frontends/nbd/wire/ in rsiod: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

import { assert } from '@rsio/common/lib/assert';

const KIB = 1024;
const MIB = 1024 * KIB;

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

/** Beyond NBD_DOOR_BYTES_MAX: for connections that have nothing else out and want more than NBD_SMALL_BYTES_MAX, which each always may. */
export const NBD_DOOR_RESERVE_BYTES = 256 * MIB;
export const NBD_SMALL_BYTES_MAX = MIB;

assert(NBD_BYTES_OUT_MAX <= NBD_DOOR_BYTES_MAX, 'One NBD connection must be allowed all that it may have out');
assert(NBD_REQUEST_MAX_BYTES <= NBD_BYTES_OUT_MAX, 'The largest NBD request must be allowed out when nothing else is');
assert(NBD_REPLY_COPY_MAX_BYTES * 2 <= NBD_BATCH_BYTES, 'A batch must hold more than one copied reply');
