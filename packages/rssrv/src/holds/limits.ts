// Bounds for the code in rssrv's holds/ folder. Names include the units. The file src/limits.ts asserts the relations between these bounds
// and the bounds of other folders.

/** A session whose last path closed at least this long ago no longer blocks an instance on another machine or from a later boot. */
export const SESSION_SILENT_MS = 3_000;
/**
 * Maximum number of machines (NODE_MACHINES_MAX) and of replaced processes (NODE_REPLACED_MAX) recorded for one node. When an entry is
 * added beyond this number, the oldest entry is removed.
 */
export const NODE_MACHINES_MAX = 16;
export const NODE_REPLACED_MAX = 16;
/** Maximum number of OPENs for one volume that wait for a change of its holds. The client of any further OPEN is told to try again. */
export const HOLD_CHANGES_WAITING_MAX = 1_024;
/** Maximum number of refused OPENs that a listener remembers as already logged. */
export const HOLD_REFUSALS_REMEMBERED_MAX = 1_024;
