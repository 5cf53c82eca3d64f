// Bounds of rssrv's volumes/holds/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** After this time without a path, a session no longer blocks an instance on another machine or from a later boot. */
export const SESSION_SILENT_MS = 3_000;
/**
 * Maximum number of machines (NODE_MACHINES_MAX) and of replaced processes (NODE_REPLACED_MAX) recorded for one node. A further entry
 * replaces the oldest.
 */
export const NODE_MACHINES_MAX = 16;
export const NODE_REPLACED_MAX = 16;
/** Maximum number of OPENs that wait for a change of one volume's holds. The server tells the client of any further OPEN to try again. */
export const HOLD_CHANGES_WAITING_MAX = 1_024;
/** Maximum number of logged refusals that a listener remembers. */
export const HOLD_REFUSALS_REMEMBERED_MAX = 1_024;
/**
 * Maximum number of attempts of one OPEN. Another attempt is made when the volume has changed while its hold was saved. The server then
 * tells the client to try again.
 */
export const OPEN_TRIES_MAX = 8;
/** Maximum number of closed volumes that the worker of a session may still name. The listener ends a worker that names others. */
export const FORMER_USES_MAX = 4_096;
