// Bounds of rssrv's holds/ folder. Units are in the names.
// src/limits.ts asserts relations to bounds of other folders.

/**
 * If the last path of a session ended this long ago, the session no longer locks out an instance on another machine or after another boot.
 */
export const SESSION_SILENT_MS = 3_000;
/** Number of machines, and of replaced processes, remembered for one node. Beyond it the oldest are forgotten. */
export const NODE_MACHINES_MAX = 16;
export const NODE_REPLACED_MAX = 16;
/** Maximum number of OPENs of one volume that wait for a change of its holds. The client of one more is told to come again. */
export const HOLD_CHANGES_WAITING_MAX = 1_024;
/** Number of refused OPENs that a listener remembers as logged. */
export const HOLD_REFUSALS_REMEMBERED_MAX = 1_024;
