// Bounds of UDP sockets. Units are in the names.
// src/limits.ts asserts their relations to bounds of other folders.

const MIB = 1024 * 1024;

/** Receive buffer requested from the kernel for each UDP socket. A broadcast can cause many simultaneous answers. */
export const DATAGRAM_BUFFER_BYTES = MIB;

export const IP_LIST_MAX_BYTES = 4 * MIB;
