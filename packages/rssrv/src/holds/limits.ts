// Bounds of holds/ in rssrv: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

/** A session whose last path went this long ago does not keep an instance on another machine, or in another boot, out. */
export const SESSION_SILENT_MS = 3_000;
/** Machines, and replaced processes, of one node that are remembered; of more, the oldest are forgotten. */
export const NODE_MACHINES_MAX = 16;
export const NODE_REPLACED_MAX = 16;
/** OPENs of one volume that wait for a change of its holds; one more is told to come again. */
export const HOLD_CHANGES_WAITING_MAX = 1_024;
/** Refused OPENs of which a listener remembers that it has logged them. */
export const HOLD_REFUSALS_REMEMBERED_MAX = 1_024;
