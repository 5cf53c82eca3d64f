// Bounds for the code in rsiod's mirrors/commands/ folder. Names include the units. The file src/limits.ts asserts the relations between these
// bounds and the bounds of other folders.

/** Most replicas with which a mirror is made. */
export const MIRROR_REPLICAS_MAX = 3;
/** Time for a VOTE that changes something. A CLAIM waits until requests of the former holder have ended. */
export const VOTE_CHANGE_MS = 30_000;
/** Time for a question to a voter. */
export const VOTE_ASK_MS = 5_000;
/** How often a VOTE is sent whose session ended before the answer. */
export const VOTE_SENT_MAX = 8;
/** Time for creating or removing the volume of one replica. */
export const REPLICA_VOLUME_MS = 60_000;
/** Mirrors whose voters are asked at the same time. */
export const MIRRORS_ASKED_AT_ONCE_MAX = 4;
/** How often a configuration that names further servers makes a survey ask these, too. */
export const SURVEY_ROUNDS_MAX = 4;
/** Changes of mirrors that rsiod executes at the same time. Further ones are refused. */
export const MIRROR_CHANGES_MAX = 8;
/** VOTEs that follow one another, at most, when a mirror is made, and what was made is taken back. */
export const VOTES_IN_TURN_MAX = 8;

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

/** VOTEs that follow one another, at most, when a mirror is made by force, and when a failed attempt makes its replicas plain volumes. */
export const FORCE_VOTES_IN_TURN_MAX = 12;
/** How long a command waits until a mirror has grown. The growth goes on after that. */
export const GROW_WAIT_MS = 120_000;
