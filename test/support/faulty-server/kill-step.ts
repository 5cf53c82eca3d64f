// Replaces rssrv's pools/disk/kill-step.ts: kills this process at one step of a change of a pool's files. The variable RSIO_TEST_KILL_AT
// names the step, such as `create: commit`. The test judges what the next start finds. Invariant: without the variable, no step kills the
// process.

const KILL_AT = process.env['RSIO_TEST_KILL_AT'];

export function stepReached(step: string): void {
  if (step === KILL_AT) process.kill(process.pid, 'SIGKILL');
}
