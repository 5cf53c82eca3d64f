// In the place of rssrv's pools/disk/kill-step.ts: kills this process at the step of a change of a pool's files that RSIO_TEST_KILL_AT names,
// such as `create: commit`. What the next start finds is the test's matter. Invariant: without the variable nothing happens at any step.

const KILL_AT = process.env['RSIO_TEST_KILL_AT'];

export function stepReached(step: string): void {
  if (step === KILL_AT) process.kill(process.pid, 'SIGKILL');
}
