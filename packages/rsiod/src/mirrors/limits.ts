// Bounds of mirrors in rsiod, and of the commands about them. Units are in the names.
// Invariant: a bound has one place, and bounds that depend on each other are asserted here.

// --- mirrors

/** Interval between checks of replicas that do not answer. If a check is PATIENCE_LATE_MS late, this process was not running. */
export const PATIENCE_LOOK_MS = 200;
export const PATIENCE_LATE_MS = 500;
/**
 * A failed attempt is repeated after RETRY_MIN_MS plus a random time up to RETRY_SPREAD_MS. Without the random part, two clients that claim
 * a mirror at the same time could obstruct each other forever.
 */
export const RETRY_MIN_MS = 500;
export const RETRY_SPREAD_MS = 1_000;
/** Time limit for the voters to confirm the term for reads. If the time is over, the reads ask again. */
export const CONFIRM_WAIT_MS = 2_000;
/** How long a detach waits until the servers have closed the replicas. */
export const CLOSE_WAIT_MS = 1_000;
/** Time limit for a server to grow a replica. The growth of a thick volume takes less time. */
export const GROW_CALL_MS = 610_000;
/** Interval between requests to grow a replica, until the server reports the new size. */
export const GROW_RETRY_MS = 1_000;

// --- mirrors/commands

/** Maximum number of replicas that commands give a mirror. */
export const MIRROR_REPLICAS_MAX = 3;
/** Time limit for a VOTE that changes something. A CLAIM takes long, because it waits for the former holder's requests. */
export const VOTE_CHANGE_MS = 30_000;
/** Time limit for the answer to a VOTE that only reads. */
export const VOTE_ASK_MS = 5_000;
/** Maximum number of times that a VOTE is sent, if its session ends before each answer. */
export const VOTE_SENT_MAX = 8;
/** Time limit for creating or removing the volume of one replica. */
export const REPLICA_VOLUME_MS = 60_000;
/** Maximum number of mirrors whose voters are asked at the same time. */
export const MIRRORS_ASKED_AT_ONCE_MAX = 4;
/** Maximum number of rounds of a survey. Each further round asks the servers that configurations of the previous round have named. */
export const SURVEY_ROUNDS_MAX = 4;
/** Maximum number of changes of mirrors that rsiod executes at the same time. Further changes are refused. */
export const MIRROR_CHANGES_MAX = 8;
/** Maximum number of successive VOTEs when a mirror is created, including those that remove it again after a failure. */
export const VOTES_IN_TURN_MAX = 8;

/**
 * Time in which the voters must agree to one step of a change. A step without agreement is withdrawn, unless the voters may have agreed.
 */
export const STEP_AGREED_MS = 30_000;
/** Maximum number of voters that commands give a mirror. Three may lose one; of more voters, more would have to answer. */
export const VOTERS_MAX = 3;
/** Maximum number of steps of one change that wait for the voters, including undo steps. Each step waits at most twice. */
export const STEPS_MAX = 3;
/** Maximum number of successive VOTEs and of successive volume requests in one change, including undo steps. */
export const CHANGE_VOTES_MAX = 8;
export const CHANGE_VOLUMES_MAX = 2;
/** How long a snapshot of a mirror waits until its replicas are known to be equal. An attach needs less time to read the maps. */
export const SNAPSHOT_SETTLE_MS = 5_000;
/** Interval between checks during SNAPSHOT_SETTLE_MS. */
export const SNAPSHOT_LOOK_MS = 50;
/** Time limit for the flush before the moment of a snapshot. Without this flush, writes would wait longer during the moment. */
export const SNAPSHOT_FLUSH_MS = 60_000;
/** Time limit for a server to make or prove a snapshot. The moment itself has a shorter limit. */
export const SNAPSHOT_CALL_MS = 60_000;

/** Maximum number of successive VOTEs when a mirror is made by force, including those after a failure. */
export const FORCE_VOTES_IN_TURN_MAX = 12;
/** How long a command waits until a mirror has grown. If the time is over, the growth continues in the background. */
export const GROW_WAIT_MS = 120_000;
