// Bounds of regions. Units are in the names.
// Clients and servers must use the same length, because the intent map of a server has one bit for each region.

const MIB = 1024 * 1024;

/** Length of the regions of the intent map. */
export const REGION_BYTES = 4 * MIB;
