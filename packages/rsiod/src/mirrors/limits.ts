// Bounds of mirrors in rsiod, and of the commands about them. The name of each bound contains its unit. Invariant: each bound is defined
// once, and this file asserts the relations between its bounds.

// --- mirrors

/**
 * PATIENCE_LOOK_MS is the interval between checks of replicas that do not answer. If a check is more than PATIENCE_LATE_MS late, this
 * process was not running for a while.
 */
export const PATIENCE_LOOK_MS = 200;
export const PATIENCE_LATE_MS = 500;
/**
 * A failed attempt is repeated after RETRY_MIN_MS plus a random time up to RETRY_SPREAD_MS. Without the random part, two clients that claim
 * a mirror at the same time could obstruct each other forever.
 */
export const RETRY_MIN_MS = 500;
export const RETRY_SPREAD_MS = 1_000;
/**
 * Time limit for the voters to confirm the term, before reads are answered. If the voters do not confirm the term in time, the data path
 * asks again.
 */
export const CONFIRM_WAIT_MS = 2_000;
/** How long a detach waits until the servers have closed the replicas. */
export const CLOSE_WAIT_MS = 1_000;
/** Time limit for a server to grow a replica. The limit is longer than the growth of a thick volume may take. */
export const GROW_CALL_MS = 610_000;
/** Interval between requests to grow a replica, until the server reports the new size. */
export const GROW_RETRY_MS = 1_000;

// --- mirrors/commands

/** Interval at which rsiod looks whether servers of replicas are lost. */
export const HEALING_LOOK_MS = 1_000;
/** After a longer time without a look, servers that were lost before count as lost from now on. */
export const HEALING_GAP_MS = 10_000;
/** After a failure, a spare is asked again, or a mirror is looked at again, after this time. */
export const HEALING_RETRY_MS = 10 * 60_000;
/** Time limit for the pools of a spare, before it gets a replica. */
export const POOL_LIST_MS = 5_000;

/** Longest interval at which the client asks the servers of its mirrors whether a moment of a replication is due, and the shortest one. */
export const MOMENTS_LOOK_MAX_MS = 10_000;
export const MOMENTS_LOOK_MIN_MS = 1_000;
/** This number of moments in succession that are refused because a server is busy is logged. */
export const BUSY_MOMENTS_MAX = 4;
/** Time limit for a server to list its replications. */
export const MOMENTS_LIST_MS = 10_000;

/** Maximum number of replicas that commands give a mirror. */
export const MIRROR_REPLICAS_MAX = 3;
/** Time limit for a VOTE that changes something. A CLAIM takes long, because it waits for the former holder's requests. */
export const VOTE_CHANGE_MS = 30_000;
/** Time limit for the answer to a VOTE that only reads. */
export const VOTE_ASK_MS = 5_000;
/** Maximum number of times that a VOTE is sent. A VOTE is sent again if its session ends before the answer. */
export const VOTE_SENT_MAX = 8;
/** Time limit for creating or removing the volume of one replica. */
export const REPLICA_VOLUME_MS = 60_000;
/** Maximum number of mirrors whose voters are asked at the same time. */
export const MIRRORS_ASKED_AT_ONCE_MAX = 4;
/** Time limit for one server to execute an order that takes a replica away from a client, or lets a client have the replica. */
export const ACCESS_CALL_MS = 60_000;
/** Maximum number of rounds of a survey. Each further round asks the servers that configurations of the previous round have named. */
export const SURVEY_ROUNDS_MAX = 4;
/** Maximum number of changes of mirrors that rsiod executes at the same time. Further changes are refused. */
export const MIRROR_CHANGES_MAX = 8;
/** Maximum number of successive VOTEs to create a mirror, including the VOTEs that remove it again after a failure. */
export const VOTES_IN_TURN_MAX = 8;

/**
 * Time limit for the voters to agree to one step of a change. After this time, the step is withdrawn, unless the voters may have agreed and
 * only their answers were lost.
 */
export const STEP_AGREED_MS = 30_000;
/**
 * Maximum number of voters that commands give a mirror. With three voters, one may fail. With more voters, more of them would have to
 * answer.
 */
export const VOTERS_MAX = 3;
/** Maximum number of steps of one change that wait for the voters, including undo steps. Each step waits at most twice. */
export const STEPS_MAX = 3;
/**
 * Bounds of one change, including its undo steps. CHANGE_VOTES_MAX is the maximum number of successive VOTEs. CHANGE_VOLUMES_MAX is the
 * maximum number of successive requests about volumes.
 */
export const CHANGE_VOTES_MAX = 8;
export const CHANGE_VOLUMES_MAX = 2;
/**
 * How long the snapshot command waits until the replicas of a mirror are known to be equal. This time is longer than an attach needs to
 * read the intent maps.
 */
export const SNAPSHOT_SETTLE_MS = 5_000;
/** Interval at which the snapshot command checks whether the replicas are known to be equal. */
export const SNAPSHOT_LOOK_MS = 50;
/** Time limit for the flush before the moment of a snapshot. Without this flush, writes would wait longer during the moment. */
export const SNAPSHOT_FLUSH_MS = 60_000;
/** Time limit for a server to make or prove a snapshot. The moment itself has a shorter limit. */
export const SNAPSHOT_CALL_MS = 60_000;

/** Maximum number of successive VOTEs to make a mirror by force, including the VOTEs after a failure. */
export const FORCE_VOTES_IN_TURN_MAX = 12;
/** How long a command waits until a mirror has grown. After this time, the growth continues in the background. */
export const GROW_WAIT_MS = 120_000;
