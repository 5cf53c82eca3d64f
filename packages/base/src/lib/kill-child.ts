// Signals a child process. Invariant: no other process gets the signal. If the program of a child could not be started, the child has the
// pid 0 until Node.js reports the error, and a signal to 0 reaches the whole process group of this process.

import type { ChildProcess } from 'node:child_process';

/** Does nothing if the program of the child could not be started. */
export function killChild(child: Pick<ChildProcess, 'pid' | 'kill'>, signal: NodeJS.Signals = 'SIGKILL'): void {
  if (child.pid !== undefined) child.kill(signal);
}
