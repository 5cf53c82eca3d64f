// Bounds of the handshake; each name includes the unit. The assertions in src/limits.ts check these bounds against the bounds of other
// folders.

const KIB = 1024;

/** Largest message body that is accepted before the proof. */
export const HANDSHAKE_MESSAGE_MAX_BYTES = 2 * KIB;

/**
 * Time limit of the server, from accepting a connection to receiving PROOF. The client has the same limit, from sending the PROOF of a new
 * session to receiving WELCOME.
 */
export const PROOF_TIMEOUT_MS = 5_000;
/**
 * Time that a client waits for CHALLENGE, and for WELCOME when it joins a session. The time is short, because the server sends CHALLENGE,
 * and the WELCOME of a join, at once. The client doubles the time after each timeout.
 */
export const HANDSHAKE_PATIENCE_MS = 1_000;
/**
 * Maximum number of keys of a node: the key in use and, while the key is being changed, the new key. A server tries NODE_KEYS_MAX keys for
 * every node.
 */
export const NODE_KEYS_MAX = 2;
/**
 * Number of wrong proofs that a node may send from one address without a delay. Further wrong proofs are allowed at the rate of one every
 * FAILED_PROOF_EACH_MS.
 */
export const FAILED_PROOFS_AT_ONCE = 10;
export const FAILED_PROOF_EACH_MS = 3_000;
/**
 * Number of wrong proofs that a node may send from all addresses together without a delay. Further wrong proofs are allowed at the rate of
 * one every FAILED_PROOF_OF_NODE_EACH_MS. Machines that have proved themselves before neither count towards this limit nor are delayed by
 * it.
 */
export const FAILED_PROOFS_OF_NODE_AT_ONCE = 100;
export const FAILED_PROOF_OF_NODE_EACH_MS = 200;
/** Maximum number of entries in each table of wrong proofs. */
export const FAILED_PROOFS_REMEMBERED_MAX = 4096;
