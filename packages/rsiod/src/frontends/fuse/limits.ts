// Bounds for the code in rsiod's frontends/fuse/ folder. The names of the bounds contain their units. The bounds must satisfy the
// assertions at the end of this file. The file src/limits.ts asserts that these bounds agree with those of other folders.

import { assert } from '@rsio/common/lib/assert';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Maximum length of the data in one READ or WRITE request for a raw device. The kernel splits longer requests. */
export const FUSE_DATA_MAX_BYTES = MIB;
/** Maximum number of background requests that the kernel keeps in flight to a raw device, including requests from loop devices. */
export const FUSE_BACKGROUND_MAX = 256;
/**
 * Maximum number of requests in flight for one raw device, and maximum total size of their buffers. While either maximum is reached, rsiod
 * reads no further requests for this device.
 */
export const FUSE_REQUESTS_OUT_MAX = 1_024;
export const FUSE_BYTES_OUT_MAX = 64 * MIB;
/** Maximum number of further requests that are read in one event-loop turn after the first. */
export const FUSE_DRAIN_MAX = 32;
/**
 * Number of requests that are read in one system call, if the machine has asynchronous I/O. FUSE_REQUESTS_OUT_MAX and FUSE_BYTES_OUT_MAX
 * may therefore be exceeded by FUSE_READS_AT_ONCE - 1 requests.
 */
export const FUSE_READS_AT_ONCE = 8;
/**
 * Maximum number and total length of the replies, of all raw devices, that are sent in one system call. A reply longer than
 * FUSE_BATCH_REPLY_BYTES is sent alone.
 */
export const FUSE_REPLIES_AT_ONCE = 64;
export const FUSE_BATCH_BYTES = MIB;
export const FUSE_BATCH_REPLY_BYTES = 32 * KIB;
/** rsiod copies WRITE data up to this size out of the receive buffer; longer data stays in the receive buffer. */
export const FUSE_COPY_MAX_BYTES = 64 * KIB;
export const FUSE_POOLED_BYTES_MAX = 64 * MIB;
/** If a program is interrupted during a stalled read or seek, the call fails with EINTR after this time. */
export const FUSE_INTERRUPT_MS = 1_000;
/** Maximum length of the range whose extents rsiod requests at once in a search for data or holes. */
export const FUSE_SEEK_BYTES = 1024 * MIB;

assert(FUSE_DATA_MAX_BYTES % 4096 === 0 && FUSE_COPY_MAX_BYTES < FUSE_DATA_MAX_BYTES, 'Data of a raw device is whole pages');
assert(FUSE_DRAIN_MAX % FUSE_READS_AT_ONCE === 0, 'Requests are read in full batches');
assert(FUSE_BATCH_REPLY_BYTES <= FUSE_BATCH_BYTES, 'A batch has room for each reply that it takes');
