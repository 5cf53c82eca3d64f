// Bounds of copies of volumes. Names include the units.
// jobs/limits.ts says how many jobs run, and moves/limits.ts how a new volume is copied.

/** Time that giving the new volume its name may take. */
export const COPY_COMMIT_MS = 30_000;
