// Bounds for the code in rsiod's mirrors/management/ folder. Names include the units. The file src/limits.ts asserts the relations between
// these bounds and the bounds of other folders.

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
