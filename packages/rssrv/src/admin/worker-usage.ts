// Adds up the CPU time and memory of the workers. Invariant: the sum of the CPU time does not decrease when a process ends. A reader of the
// metrics would take a decrease for a restart of the server.

import type { ProcessUsage } from '@rsio/base/daemon/process-facts';

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
      // For a process that cannot be inspected, for example because it is ending, use the last known value.
      const cpuSeconds = usage?.cpuSeconds ?? this.known.get(pid);
      if (cpuSeconds !== undefined) now.set(pid, cpuSeconds);
      memoryBytes += usage?.memoryBytes ?? 0;
    }
    for (const [pid, seconds] of this.known) {
      // If the CPU time of a pid has decreased, a new process has the pid, and the earlier process has ended.
      const left = now.get(pid);
      if (left === undefined || left < seconds) this.endedSeconds += seconds;
    }
    this.known = now;
    return { cpuSeconds: this.endedSeconds + [...now.values()].reduce((sum, seconds) => sum + seconds, 0), memoryBytes };
  }
}
