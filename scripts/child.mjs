// Runs a program that has child processes, such as Vitest, and passes on the signals that end this process. Invariant: when this process
// has ended, except by SIGKILL, no process of the program's group is left. Daemons that tests have started are in other groups; reapers
// (test/support/programs/reaper.ts) end the daemons when the process of the test has ended.

import { spawn } from 'node:child_process';

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };
/** Time that the group has to end before it is killed; less than the 10 s that `timeout` in .ci/run allows. */
const GRACE_MS = 5000;
const SIGNALLED = 128;

/** Resolves to `{status, signal}` when the program has ended. The program writes to the stdout and stderr of this process. */
export function runGroup(command, args, options) {
  return new Promise((resolve, reject) => {
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
    };
    // Listens before the program starts, because a signal without a listener would end only this process.
    for (const signal of Object.keys(SIGNALS)) process.once(signal, pass);
    const child = spawn(command, args, { ...options, stdio: 'inherit', detached: true });
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

function endGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}
