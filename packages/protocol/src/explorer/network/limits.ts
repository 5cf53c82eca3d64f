// Bounds of UDP sockets: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

const MIB = 1024 * 1024;

/** Asked of the kernel for each UDP socket: a broadcast is answered by many at once. */
export const DATAGRAM_BUFFER_BYTES = MIB;

export const IP_LIST_MAX_BYTES = 4 * MIB;
