// Reopens and moves the listener's log, and changes the log level. The listener's log also contains the lines of the workers. Invariant:
// all processes have the same log level.

import type { RssrvConfig } from '@rsio/common/config/schema/types';
import type { DaemonLog, LogLevel } from '@rsio/common/log/log';
import type { WorkerPool } from './workers/worker-pool.ts';

interface ServerLogsPorts {
  readonly log: DaemonLog;
  /** Moves the listener's log to the place that the configuration names. */
  readonly relog: (config: RssrvConfig) => void;
  readonly config: () => RssrvConfig;
  readonly pool: () => WorkerPool;
}

export class ServerLogs {
  private readonly ports: ServerLogsPorts;

  constructor(ports: ServerLogsPorts) {
    this.ports = ports;
  }

  reopen(): void {
    this.ports.log.reopen();
  }

  setLevel(level: LogLevel): void {
    this.ports.log.setLevel(level);
    this.ports.pool().setLogLevel(level);
  }

  /** Calls `apply`, which applies a configuration, and then moves the log if its file or its time format has changed. */
  async along(apply: () => Promise<void>): Promise<void> {
    const { relog, config } = this.ports;
    const before = config().server;
    await apply();
    const { server } = config();
    if (before.log === server.log && before.logTime === server.logTime) return;
    relog(config());
  }
}
