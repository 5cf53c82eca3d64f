// Reopens and moves the listener's log, and changes the log level. The listener's log also contains the lines of the workers. Invariant:
// all processes have the same log level.

import type { LowestLevel } from '@rsio/base/log/log';
import type { WorkerPool } from '../server/workers/worker-pool.ts';
import type { Foundation } from './foundation.ts';

type ServerLogsParts = Pick<Foundation, 'log' | 'relog' | 'current'> & { readonly workers: Pick<WorkerPool, 'setLogLevel'> };

export class ServerLogs {
  private readonly parts: ServerLogsParts;

  constructor(parts: ServerLogsParts) {
    this.parts = parts;
  }

  reopen(): void {
    this.parts.log.reopen();
  }

  setLevel(level: LowestLevel): void {
    this.parts.log.setLevel(level);
    this.parts.workers.setLogLevel(level);
  }

  /** Calls `apply`, which applies a configuration, and then moves the log if its file or its time format has changed. */
  async along(apply: () => Promise<void>): Promise<void> {
    const { relog, current } = this.parts;
    const before = current.config.server;
    await apply();
    const { server } = current.config;
    if (before.log === server.log && before.logTime === server.logTime) return;
    relog(current.config);
  }
}
