// Bounds for the code in rssrv's mirrors/ folder. Names include the units. The file src/limits.ts asserts the relations between these bounds
// and the bounds of other folders.

/**
 * A CLAIM, PLACE or UNPLACE waits at most this long until nothing of lower terms runs on the replica, and until the replica is placed. Then
 * it is answered without the replica. What it has begun goes on.
 */
export const REPLICA_WAIT_MS = 30_000;
