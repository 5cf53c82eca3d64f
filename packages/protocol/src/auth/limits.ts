// Bounds of the handshake. Units are in the names.
// src/limits.ts asserts their relations to bounds of other folders.

const KIB = 1024;

/** Largest message body before the proof. */
export const HANDSHAKE_MESSAGE_MAX_BYTES = 2 * KIB;

/** Maximum duration of a handshake. */
export const PROOF_TIMEOUT_MS = 5_000;
/**
 * How long a client waits for CHALLENGE, and for the WELCOME to a join. Both need no work of the server. The time doubles after each
 * timeout.
 */
export const HANDSHAKE_PATIENCE_MS = 1_000;
/**
 * Permitted wrong proofs of one node from one address: this many at once, then one in each FAILED_PROOF_EACH_MS. A known machine is counted
 * separately.
 */
export const FAILED_PROOFS_AT_ONCE = 10;
export const FAILED_PROOF_EACH_MS = 3_000;
/**
 * Permitted wrong proofs of one node from all addresses together: this many at once, then one in each FAILED_PROOF_OF_NODE_EACH_MS. Known
 * machines are neither counted nor delayed by this limit.
 */
export const FAILED_PROOFS_OF_NODE_AT_ONCE = 100;
export const FAILED_PROOF_OF_NODE_EACH_MS = 200;
/**
 * Number of entries that each of the limits on wrong proofs remembers. When more are needed, a new entry replaces the one whose allowance
 * would be complete again first, and starts with the same used-up allowance.
 */
export const FAILED_PROOFS_REMEMBERED_MAX = 4096;
