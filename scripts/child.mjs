// Runs a program that has child processes, such as Vitest, and passes on the signals that end this process. Invariant: when this process
// has ended, except by SIGKILL, no process of the program's group is left. Daemons that tests have started are in other groups; reapers
// (test/support/programs/reaper.ts) end the daemons when the process of the test has ended.

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };
/** Time that the group has to end before it is killed; less than the 10 s that `timeout` in .ci/run allows. */
const GRACE_MS = 5000;
const SIGNALLED = 128;
/** A tenth of the processor time of a program that does not give way: with a seventieth (19), time limits of unit tests passed. */
const GIVES_WAY_NICE = 10;

/**
 * Resolves to `{status, signal}` when the program has ended. The program writes to the stdout and stderr of this process, or to the
 * descriptor `output`. `givesWay`: the program gets the processor time that others leave.
 */
export function runGroup(command, args, { output = 'inherit', givesWay = false, ...options }) {
  return new Promise((resolve, reject) => {
    // Two programs may run at a time. The one that ends first after a signal ends this process.
    const killed = () => endGroup(child.pid, 'SIGKILL');
    const pass = (signal) => {
      endGroup(child.pid, signal);
      const kill = setTimeout(() => endGroup(child.pid, 'SIGKILL'), GRACE_MS);
      child.once('exit', () => {
        clearTimeout(kill);
        // Kills children that have ignored the signal.
        endGroup(child.pid, 'SIGKILL');
        process.exit(SIGNALLED + SIGNALS[signal]);
      });
    };
    const over = () => {
      for (const signal of Object.keys(SIGNALS)) process.off(signal, pass);
      process.off('exit', killed);
    };
    // Listens before the program starts, because a signal without a listener would end only this process.
    for (const signal of Object.keys(SIGNALS)) process.once(signal, pass);
    process.once('exit', killed);
    const [program, ...first] = givesWay ? ['nice', '-n', String(GIVES_WAY_NICE), command] : [command];
    const child = spawn(program, [...first, ...args], { ...options, stdio: ['inherit', output, output], detached: true });
    if (givesWay) lowerSession(child.pid);
    child.once('error', (error) => {
      over();
      reject(error);
    });
    child.once('exit', (status, signal) => {
      over();
      resolve({ status, signal });
    });
  });
}

/** Where the kernel divides the time between sessions, a nice value counts only within one session. */
function lowerSession(pid) {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, String(GIVES_WAY_NICE));
  } catch {
    // The kernel has no such file, or the program could not be started, which 'error' reports.
  }
}

function endGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}
