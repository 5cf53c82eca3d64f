// Kills this process at a step of a change of a pool's files, so that tests can check the repair by the next start. Only `rssrv --test`
// calls `permitKill`. Invariant: without `permitKill`, the process is never killed.

let killStep: string | null = null;

/** `step`: the step at which the process is killed, such as `create: commit`; undefined for none. */
export function permitKill(step: string | undefined): void {
  killStep = step ?? null;
}

/** Called after each step. */
export function stepReached(step: string): void {
  if (step === killStep) process.kill(process.pid, 'SIGKILL');
}
