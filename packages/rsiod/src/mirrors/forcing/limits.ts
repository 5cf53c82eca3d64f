// Bounds for the code in rsiod's mirrors/forcing/ folder. The file src/limits.ts asserts the relations between these bounds and the bounds of
// other folders.

/** VOTEs that follow one another, at most, when a mirror is made by force, and when a failed attempt makes its replicas plain volumes. */
export const FORCE_VOTES_IN_TURN_MAX = 12;
