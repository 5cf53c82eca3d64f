// Limits that both the configuration and the wire use, and sizes of text. The unit is in the name.
// The src/limits.ts of the packages above assert relations to these bounds.

const MIB = 1024 * 1024;

export const SECTOR_BYTES = 512;
export const BODY_MAX_BYTES = MIB;
/** Volumes must be addressable by a double without loss. */
export const VOLUME_MAX_BYTES = 2 ** 53 - MIB;

export const INTERFACES_MAX = 8;
export const NAME_MAX_BYTES = 63;

export const UNIVERSE_MAX = 3;

/** Before the proof, IPv6 addresses with this many common leading bits count as one source, because a host with one of them has them all. */
export const SOURCE_PREFIX_LENGTH_6 = 64;

export const PORT_MAX = 65_535;
export const NAMESPACEID_MAX = 65_535;
export const SERVERID_MAX = 255;
