// Bounds for the code in rsiod's mirrors/changes/ folder. Names include the units. The file src/limits.ts asserts the relations between these
// bounds and the bounds of other folders.

/** Time in which the voters of an attached mirror must agree to one step of a change. Later, the step is given up, unless they may have. */
export const STEP_AGREED_MS = 30_000;
/** Most voters that commands give a mirror. More would have to answer, and three may lose one. */
export const VOTERS_MAX = 3;
/** Steps of one change that wait for the voters, at most, with those that are taken back. Each waits at most twice. */
export const STEPS_MAX = 3;
/** VOTEs and volumes of one change that follow one another, at most, with those that are taken back. */
export const CHANGE_VOTES_MAX = 8;
export const CHANGE_VOLUMES_MAX = 2;
/** How long a snapshot of a mirror waits until its replicas are known to be equal: longer than reading the maps after an attach takes. */
export const SNAPSHOT_SETTLE_MS = 5_000;
/** Interval at which it looks. */
export const SNAPSHOT_LOOK_MS = 50;
/** Time for the flush before the moment. Without it, writes would wait for it in the moment. */
export const SNAPSHOT_FLUSH_MS = 60_000;
/** Time for a server to make a snapshot, or to prove one. The moment waits less. */
export const SNAPSHOT_CALL_MS = 60_000;
