// Defines limits that both the configuration and the wire protocol use, and limits on the lengths of texts. The name of each bound contains
// its unit. Every dependent package asserts in its src/limits.ts that its bounds fit the bounds defined here.

const MIB = 1024 * 1024;

export const SECTOR_BYTES = 512;
export const BODY_MAX_BYTES = MIB;
/** Maximum size of a volume. Up to this size, a double can represent every byte offset exactly. */
export const VOLUME_MAX_BYTES = 2 ** 53 - MIB;

export const INTERFACES_MAX = 8;
export const NAME_MAX_BYTES = 63;

export const UNIVERSE_MAX = 3;

/** IPv6 addresses that share this many leading bits count as one source, because a single host can use all of these addresses. */
export const SOURCE_PREFIX_LENGTH_6 = 64;

export const PORT_MAX = 65_535;
export const NAMESPACEID_MAX = 65_535;
export const SERVERID_MAX = 255;
