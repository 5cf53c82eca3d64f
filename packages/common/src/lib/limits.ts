// Limits that both the configuration and the wire protocol use, and limits on text lengths. Units are in the names. Packages that depend on
// this one assert in their src/limits.ts that their own bounds agree with these.

const MIB = 1024 * 1024;

export const SECTOR_BYTES = 512;
export const BODY_MAX_BYTES = MIB;
/** Maximum size of a volume. A double can represent every byte offset up to this size exactly. */
export const VOLUME_MAX_BYTES = 2 ** 53 - MIB;

export const INTERFACES_MAX = 8;
export const NAME_MAX_BYTES = 63;

export const UNIVERSE_MAX = 3;

/**
 * Before a peer has proved its identity, IPv6 addresses that share this many leading bits count as one source, because a single host can
 * use all of them.
 */
export const SOURCE_PREFIX_LENGTH_6 = 64;

export const PORT_MAX = 65_535;
export const NAMESPACEID_MAX = 65_535;
export const SERVERID_MAX = 255;
