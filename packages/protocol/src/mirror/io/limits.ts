// Bounds of the data path of mirrors. Units are in the names.
// Times are read from the injected clock.

/** The voters are asked if a replica does not confirm a READ for this time: long against a round trip, short against `mirror-patience`. */
export const CONFIRM_PATIENCE_MS = 200;
/** Most replicas of a mirror at a time, including those that were given up and still count. Each has one bit in a mask. */
export const REPLICA_BITS = 30;
/** Most sectors of one ZERO of the copier: the largest value of the field `count` of a header. */
export const ZERO_SECTORS_MAX = 0xffff;
