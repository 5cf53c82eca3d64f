// Bounds that both the configuration and the wire know, and sizes of text. The unit is in the name. Invariant: the relations
// between them that are asserted here, and in src/limits.ts those to other rooms.

const MIB = 1024 * 1024;

export const SECTOR_BYTES = 512;
export const BODY_MAX_BYTES = MIB;
/** Volumes must be addressable by a double without loss. */
export const VOLUME_MAX_BYTES = 2 ** 53 - MIB;

export const INTERFACES_MAX = 8;
export const NAME_MAX_BYTES = 63;

export const UNIVERSE_MAX = 3;

/** IPv6 addresses with so many leading bits in common are one place before the proof: whoever has one has them all. */
export const SOURCE_PREFIX_LENGTH_6 = 64;

export const PORT_MAX = 65_535;
export const NAMESPACEID_MAX = 65_535;
export const SERVERID_MAX = 255;
