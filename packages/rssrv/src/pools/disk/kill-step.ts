// Kills this process at a step of a change of a pool's files, for tests of what the next start finds. Only `rssrv --test` permits it.
// Invariant: without `permitKill` nothing happens at any step.

let killStep: string | null = null;

/** `step`: the step at which the process is killed, such as `create: commit`; undefined: none. */
export function permitKill(step: string | undefined): void {
  killStep = step ?? null;
}

/** Called after each step. */
export function stepReached(step: string): void {
  if (step === killStep) process.kill(process.pid, 'SIGKILL');
}
