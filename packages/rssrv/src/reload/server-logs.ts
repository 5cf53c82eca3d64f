// The log of the listener and of its server processes: reopened, moved to another place, given another level. Invariant: all processes write
// to the same place.

import type { RssrvConfig } from '@rsio/common/config/schema/types';
import type { DaemonLog, LogLevel } from '@rsio/common/log/log';
import type { WorkerPool } from '../workers/worker-pool.ts';

interface ServerLogsPorts {
  readonly log: DaemonLog;
  /** Makes the listener's log go where this configuration says. */
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
    this.tellWorkers();
  }

  setLevel(level: LogLevel): void {
    this.ports.log.setLevel(level);
    this.tellWorkers();
  }

  /** Applies a configuration by `apply`, and then moves the logs if their place or form has changed. */
  async along(apply: () => Promise<void>): Promise<void> {
    const { relog, config } = this.ports;
    const before = config().server;
    await apply();
    const { server } = config();
    if (before.log === server.log && before.logTime === server.logTime) return;
    relog(config());
    this.tellWorkers();
  }

  private tellWorkers(): void {
    const { pool, config, log } = this.ports;
    pool().reopenLogs(config().server.logLevel, log.way);
  }
}
