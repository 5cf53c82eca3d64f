// Bounds of the handshake. Units are in the names.
// src/limits.ts asserts their relations to bounds of other folders.

const KIB = 1024;

/** Largest message body before the proof. */
export const HANDSHAKE_MESSAGE_MAX_BYTES = 2 * KIB;

/** Maximum duration of a handshake. */
export const PROOF_TIMEOUT_MS = 5_000;
/**
 * How long a client waits for CHALLENGE, and for the WELCOME to a join. Neither requires work on the server. The time doubles after each
 * timeout.
 */
export const HANDSHAKE_PATIENCE_MS = 1_000;
/**
 * Number of wrong proofs that one node may send from one address at once; after that, one more in each FAILED_PROOF_EACH_MS. A known
 * machine is counted separately.
 */
export const FAILED_PROOFS_AT_ONCE = 10;
export const FAILED_PROOF_EACH_MS = 3_000;
/**
 * Number of wrong proofs that one node may send from all addresses together at once; after that, one more in each
 * FAILED_PROOF_OF_NODE_EACH_MS. Known machines are neither counted nor delayed by this limit.
 */
export const FAILED_PROOFS_OF_NODE_AT_ONCE = 100;
export const FAILED_PROOF_OF_NODE_EACH_MS = 200;
/**
 * Number of entries that each of the limits on wrong proofs remembers. When the table is full, a new entry replaces the entry whose
 * allowance would be restored first, and starts with as much of its own allowance used up.
 */
export const FAILED_PROOFS_REMEMBERED_MAX = 4096;
