// Bounds of rsiod's frontends/fuse/ folder. Units are in the names.
// Invariant: the relations asserted below. src/limits.ts asserts that they agree with the bounds of other folders.

import { assert } from '@rsio/common/lib/assert';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Maximum data of one READ or WRITE of a raw device. The kernel splits longer requests. */
export const FUSE_DATA_MAX_BYTES = MIB;
/** Maximum number of background requests that the kernel keeps in flight to a raw device, including requests from loop devices. */
export const FUSE_BACKGROUND_MAX = 256;
/**
 * Maximum number of requests, and maximum bytes of their buffers, in flight for one raw device. At the maximum, rsiod does not read the
 * descriptor.
 */
export const FUSE_REQUESTS_OUT_MAX = 1_024;
export const FUSE_BYTES_OUT_MAX = 64 * MIB;
/** Maximum number of requests read in one event-loop turn in addition to the first. */
export const FUSE_DRAIN_MAX = 32;
/** Up to this size, rsiod copies the data of a WRITE out of the receive buffer. */
export const FUSE_COPY_MAX_BYTES = 64 * KIB;
export const FUSE_POOLED_BYTES_MAX = 64 * MIB;
/** Time that a request that changes nothing has to complete after its program is interrupted. After that, the program gets EINTR. */
export const FUSE_INTERRUPT_MS = 1_000;
/** Length of the range whose extents a raw device requests at a time when it seeks data or holes. */
export const FUSE_SEEK_BYTES = 1024 * MIB;

assert(FUSE_DATA_MAX_BYTES % 4096 === 0 && FUSE_COPY_MAX_BYTES < FUSE_DATA_MAX_BYTES, 'Data of a raw device is whole pages');
