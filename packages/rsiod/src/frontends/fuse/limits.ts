// Bounds of rsiod's frontends/fuse/ folder. Units are in the names.
// Invariant: the relations asserted below. src/limits.ts asserts relations to bounds of other folders.

import { assert } from '@rsio/common/lib/assert';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Maximum data of one READ or WRITE of a raw device. The kernel splits longer requests. */
export const FUSE_DATA_MAX_BYTES = MIB;
/** Maximum number of background requests that the kernel keeps in flight at a raw device. They include the requests of loop devices. */
export const FUSE_BACKGROUND_MAX = 256;
/**
 * Number of requests, and bytes of their buffers, that one raw device may have in flight. Beyond it, rsiod does not read the descriptor.
 */
export const FUSE_REQUESTS_OUT_MAX = 1_024;
export const FUSE_BYTES_OUT_MAX = 64 * MIB;
/** Maximum number of requests read in one event-loop turn in addition to the first. */
export const FUSE_DRAIN_MAX = 32;
/** Up to this size, rsiod copies the data of a WRITE out of the receive buffer. */
export const FUSE_COPY_MAX_BYTES = 64 * KIB;
export const FUSE_POOLED_BYTES_MAX = 64 * MIB;
/** After its program was interrupted, a request that changes nothing has this long to complete before the program gets EINTR. */
export const FUSE_INTERRUPT_MS = 1_000;
/** Bytes whose extents a raw device requests at a time when it seeks data or holes. */
export const FUSE_SEEK_BYTES = 1024 * MIB;

assert(FUSE_DATA_MAX_BYTES % 4096 === 0 && FUSE_COPY_MAX_BYTES < FUSE_DATA_MAX_BYTES, 'Data of a raw device is whole pages');
