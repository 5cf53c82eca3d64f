// Bounds of the data path of mirrors. Units are in the names.
// Times are read from the injected clock.

/**
 * A READ that a replica has not confirmed for this time is confirmed by the voters. The time is long against a round trip and short
 * against `mirror-patience`.
 */
export const CONFIRM_PATIENCE_MS = 200;
/** Most replicas of a mirror at a time, those included that were given up and still count: each has a bit in a mask. */
export const REPLICA_BITS = 30;
/** Most sectors of a ZERO of the copier: what the field `count` of a header can say. */
export const ZERO_SECTORS_MAX = 0xffff;
