// Kills this process at a step of a change of a pool's files, so that tests can check the repair by the next start. Only `rssrv --test`
// calls `permitKill`. Invariant: without `permitKill`, the process is never killed.

let killStep: string | null = null;

/** Makes the process kill itself at the step `step`, such as `create: commit`. Does nothing if `step` is undefined. */
export function permitKill(step: string | undefined): void {
  killStep = step ?? null;
}

/** Called after each step. Kills the process if `permitKill` has chosen this step. */
export function stepReached(step: string): void {
  if (step === killStep) process.kill(process.pid, 'SIGKILL');
}
