// Bounds for UDP sockets and for the list of this machine's interfaces.
// The name of each bound includes the unit.

const MIB = 1024 * 1024;

/** Size of a UDP receive buffer; a broadcast can cause many simultaneous answers. */
export const DATAGRAM_BUFFER_BYTES = MIB;

export const IP_LIST_MAX_BYTES = 4 * MIB;
