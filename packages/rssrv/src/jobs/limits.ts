// Bounds for jobs: work of the server that takes time. Names include the units. The bounds of each kind of job are in its folder, such as
// jobs/moves/limits.ts.

/** Maximum number of running jobs. Further jobs wait in order. */
export const JOBS_RUNNING_MAX = 2;
/** Maximum number of running jobs of one client, so that its slow jobs do not stop the jobs of others. */
export const JOBS_RUNNING_PER_CLIENT_MAX = 1;
/** Maximum number of jobs that have not ended. */
export const JOBS_OPEN_MAX = 64;
/** The same for the jobs of one client. */
export const JOBS_OPEN_PER_CLIENT_MAX = 16;
/** Maximum number of ended jobs in the list. */
export const JOBS_KEPT_MAX = 100;
/** The same for the jobs of one client, so that they do not push the jobs of others out of the list. */
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
