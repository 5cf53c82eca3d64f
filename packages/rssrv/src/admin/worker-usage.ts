// Adds up the CPU time and memory of the server processes. Invariant: the CPU time does not decrease when a process ends, because a reader
// would take a decrease for a restart.

import type { ProcessUsage } from '@rsio/common/daemon/process-facts';

export class WorkerUsage {
  private readonly usageOf: (pid: number) => ProcessUsage | undefined;
  /** CPU seconds of each process at the last call. */
  private known = new Map<number, number>();
  /** CPU seconds of processes that have ended. */
  private endedSeconds = 0;

  constructor(usageOf: (pid: number) => ProcessUsage | undefined) {
    this.usageOf = usageOf;
  }

  look(pids: readonly number[]): ProcessUsage {
    const now = new Map<number, number>();
    let memoryBytes = 0;
    for (const pid of pids) {
      const usage = this.usageOf(pid);
      // A process that cannot be inspected, for example because it is ending, keeps its last value.
      const cpuSeconds = usage?.cpuSeconds ?? this.known.get(pid);
      if (cpuSeconds !== undefined) now.set(pid, cpuSeconds);
      memoryBytes += usage?.memoryBytes ?? 0;
    }
    for (const [pid, seconds] of this.known) {
      // A pid with less CPU time than before is that of a new process.
      const left = now.get(pid);
      if (left === undefined || left < seconds) this.endedSeconds += seconds;
    }
    this.known = now;
    return { cpuSeconds: this.endedSeconds + [...now.values()].reduce((sum, seconds) => sum + seconds, 0), memoryBytes };
  }
}
