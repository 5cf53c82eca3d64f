// Bounds of frontends/fuse/ in rsiod: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

import { assert } from '@rsio/common/lib/assert';

const KIB = 1024;
const MIB = 1024 * KIB;

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

assert(FUSE_DATA_MAX_BYTES % 4096 === 0 && FUSE_COPY_MAX_BYTES < FUSE_DATA_MAX_BYTES, 'Data of a raw device is whole pages');
