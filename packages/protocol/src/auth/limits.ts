// Bounds of the handshake: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

const KIB = 1024;

/** Largest message body before the proof. */
export const HANDSHAKE_MESSAGE_MAX_BYTES = 2 * KIB;

export const PROOF_TIMEOUT_MS = 5_000;
/** A client waits so long for CHALLENGE, and for WELCOME to a join, which need no work of the server; each time that was too short, twice. */
export const HANDSHAKE_PATIENCE_MS = 1_000;
/** Wrong proofs of one node from one address: so many at once, and then one in such a time. A machine that is known counts by itself. */
export const FAILED_PROOFS_AT_ONCE = 10;
export const FAILED_PROOF_EACH_MS = 3_000;
/** The same of one node from all addresses together; machines that are known are neither counted nor kept waiting here. */
export const FAILED_PROOFS_OF_NODE_AT_ONCE = 100;
export const FAILED_PROOF_OF_NODE_EACH_MS = 200;
/** Of each of these, nodes (with addresses) remembered; past it a new one counts as the one that owes least. */
export const FAILED_PROOFS_REMEMBERED_MAX = 4096;
