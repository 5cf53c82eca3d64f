// Bounds for jobs: work of the server that takes time. Names include the units. The bounds of what a job does are with its kind, such as
// jobs/moves/limits.ts.

/** Jobs that run at once. The others wait in order. */
export const JOBS_RUNNING_MAX = 2;
/** Jobs of one client that run at once, so that slow ones of it stop nobody else. */
export const JOBS_RUNNING_PER_CLIENT_MAX = 1;
/** Jobs that have not ended. */
export const JOBS_OPEN_MAX = 64;
/** Those of one client. */
export const JOBS_OPEN_PER_CLIENT_MAX = 16;
/** Jobs that have ended, and stay in the list. */
export const JOBS_KEPT_MAX = 100;
/** Those of one client, so that its jobs do not push those of others out of the list. */
export const JOBS_KEPT_PER_CLIENT_MAX = 25;
/** A job that cannot go on now, for example because a pool is not open, is tried again after this time. */
export const JOB_RETRY_MS = 10_000;
/** Time that the server waits for its jobs when it stops. */
export const JOB_STOP_WAIT_MS = 5_000;
/** Time over which the speed of a job is measured. */
export const SPEED_OVER_MS = 2_000;
/** Smallest limit of bandwidth. */
export const JOB_LIMIT_MIN_BYTES = 64 * 1024;
/** A wait for bandwidth ends after this time at the latest, so that a new limit and a cancel are noticed. */
export const PACE_WAIT_MAX_MS = 250;
