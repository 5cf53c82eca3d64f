// The log of the listener, which writes the lines of its server processes, too: reopened, moved to another place, given another level.
// Invariant: all processes have the same level.

import type { RssrvConfig } from '@rsio/common/config/schema/types';
import type { DaemonLog, LogLevel } from '@rsio/common/log/log';
import type { WorkerPool } from './workers/worker-pool.ts';

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
  }

  setLevel(level: LogLevel): void {
    this.ports.log.setLevel(level);
    this.ports.pool().setLogLevel(level);
  }

  /** Applies a configuration by `apply`, and then moves the logs if their place or form has changed. */
  async along(apply: () => Promise<void>): Promise<void> {
    const { relog, config } = this.ports;
    const before = config().server;
    await apply();
    const { server } = config();
    if (before.log === server.log && before.logTime === server.logTime) return;
    relog(config());
  }
}
