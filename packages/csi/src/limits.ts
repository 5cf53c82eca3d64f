// Bounds of rsio-csi. Units are in the names.
// Invariant: a bound has one place, and bounds that depend on each other are asserted here.

import { assert } from '@rsio/base/lib/assert';
import { NAME_MAX_BYTES } from '@rsio/base/lib/limits';

const MIB = 1024 * 1024;

// --- The gRPC server.

/** Maximum number of calls in progress. Further calls are answered with RESOURCE_EXHAUSTED. */
export const CSI_CALLS_MAX = 256;
/** Maximum number of connections to the socket. The sidecars of a pod need one or two connections each. */
export const CSI_CONNECTIONS_MAX = 64;
export const CSI_MESSAGE_MAX_BYTES = MIB;
/** Longest text of a call, except paths. The specification of CSI has the same bound. */
export const CSI_TEXT_MAX_BYTES = 128;
export const CSI_PATH_MAX_BYTES = 4_096;
/** Maximum number of entries in a map or list of a call. */
export const CSI_ENTRIES_MAX = 256;
/** When the program ends, calls in progress get this time. */
export const CSI_DRAIN_MS = 5_000;
/** Longest error text in an answer. It is bounded, because gRPC sends it as a header. */
export const CSI_SENTENCE_MAX_CHARS = 1_500;

// --- Requests to the servers, through rsiod.

/** Maximum number of requests that are in progress at rsiod. rsiod passes on 16 requests to each server at a time, and refuses others. */
export const ORDERS_AT_ONCE_MAX = 8;
/** Maximum number of requests that wait for their turn. */
export const ORDERS_WAITING_MAX = 4_096;
/** Maximum number of volumes whose server and name the controller remembers. */
export const PLACES_REMEMBERED_MAX = 16_384;
/** Maximum number of attempts at a change. If the object of the first request has been removed since, the next request has a new id. */
export const ANSWER_TRIES_MAX = 3;
/** A call that copies a volume waits this long, and is then answered with ABORTED, so that the orchestrator repeats it. */
export const COPY_WAIT_MS = 20_000;
export const COPY_LOOK_MS = 500;

// --- Volumes.

export const SIZE_UNIT_BYTES = MIB;
export const SIZE_DEFAULT_BYTES = 1024 * MIB;
/** Maximum number of volumes that one node may have, as NodeGetInfo says. */
export const NODE_VOLUMES_MAX = 64;
/** Maximum number of publications whose capability the controller remembers. */
export const PUBLICATIONS_MAX = 65_536;
/** Maximum number of entries in one answer to ListVolumes, to ListSnapshots or to a call of SnapshotMetadata. */
export const LIST_ENTRIES_MAX = 1_000;
/** Maximum number of volumes in a group snapshot. */
export const GROUP_VOLUMES_MAX = 64;

// --- The node.

/** At each end of a device, this many bytes must be zero before a file system is made. */
export const DEVICE_ENDS_BYTES = MIB;
/** Size of the mark on a device whose file system is not complete. */
export const DEVICE_MARK_BYTES = 4_096;
/** Time limits of programs. Making a file system on a large volume takes longest. */
export const MKFS_MAX_MS = 600_000;
export const RESIZE_MAX_MS = 600_000;
export const MOUNT_MAX_MS = 120_000;
export const BLKID_MAX_MS = 60_000;
export const PROGRAM_OUTPUT_MAX_BYTES = 64 * 1024;
/** How long the node waits until rsiod knows the new size of a volume. */
export const GROWN_WAIT_MS = 10_000;
export const GROWN_LOOK_MS = 200;
/** Maximum number of mounts on top of each other that one call removes. */
export const STACKED_MOUNTS_MAX = 16;
/** A file system that does not answer within this time counts as waiting, not as failed. */
export const STATFS_MAX_MS = 5_000;

assert(CSI_TEXT_MAX_BYTES > NAME_MAX_BYTES, 'A name of CSI can be longer than a name of RSIO, so that it must be shortened');
assert(DEVICE_MARK_BYTES <= DEVICE_ENDS_BYTES / 2, 'The mark must lie within the end of a device');
assert(ORDERS_AT_ONCE_MAX < 16, 'rsiod must have room for the requests of other programs');
assert(COPY_LOOK_MS < COPY_WAIT_MS && GROWN_LOOK_MS < GROWN_WAIT_MS, 'A wait must look more than once');
