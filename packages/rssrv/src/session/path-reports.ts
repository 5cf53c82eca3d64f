// Reports the paths of one session in the log and to the listener. The listener ends a session that stays without a path, and learns for
// how long the session has not heard its client. Invariants: a client is quiet from its last frame on, whatever becomes of its paths, until
// it is heard again. If this process itself was stopped, quiet time counts only from the first check after the stop.

import { HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import type { Clock } from '@rsio/base/lib/clock';
import type { Log } from '@rsio/base/log/log';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import type { ServerInterface } from '@rsio/protocol/wire/messages';
import { CLIENT_QUIET_MS } from './limits.ts';
import type { ServerPath } from './server-path.ts';

export interface PathReportPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Called with the number of paths when this number has changed. The listener ends a session that has been without paths for too long. */
  pathsChanged(count: number): void;
  /**
   * Called with the time in ms since the last frame when no path has received anything for CLIENT_QUIET_MS, and with null when the client
   * is heard again. A machine that stands still closes no connection.
   */
  quietChanged(quietMs: number | null): void;
}

type Named = Pick<ServerPath, 'number' | 'arrivedAt' | 'lastReceivedMs'>;

export class PathReports {
  private readonly ports: PathReportPorts;
  private readonly paths: ReadonlyMap<number, Named>;
  private readonly lines: RateLimitedLog;
  private isQuiet = false;
  /** Time of the last frame on any path; if this process was stopped since then, the time of the first check after the stop. */
  private heardMs: number;
  private lookedMs: number;

  /** `paths`: the paths of the session, keyed by their numbers. The owner of the map adds and removes paths. */
  constructor(ports: PathReportPorts, paths: ReadonlyMap<number, Named>) {
    this.ports = ports;
    this.paths = paths;
    this.lines = new RateLimitedLog(ports.clock, ports.log);
    this.heardMs = ports.clock.monotonicMs();
    this.lookedMs = this.heardMs;
  }

  /** Called when a path was added or removed. */
  changed({ number, arrivedAt: { name }, lastReceivedMs }: Named, sentence: string): void {
    this.heardMs = Math.max(this.heardMs, lastReceivedMs);
    this.lines.note(`Paths on ${name}`, () => this.ports.log.child({ path: `${number}-${name}-rx0` }).info(sentence));
    this.look();
    this.ports.pathsChanged(this.paths.size);
  }

  /**
   * Called when a connection on an interface did not become a path. Reports the number of paths, because the session may never have had
   * one.
   */
  failed({ name }: ServerInterface, sentence: string): void {
    this.lines.note(`Paths on ${name}`, () => this.ports.log.info(sentence));
    this.ports.pathsChanged(this.paths.size);
  }

  /** Checks whether the client is heard. Called at least once in every heartbeat interval. */
  look(): void {
    const nowMs = this.ports.clock.monotonicMs();
    // While this process was stopped, it heard no client, and it reads the frames that arrived during the stop only after this check.
    const stoodStill = nowMs - this.lookedMs > 2 * HEARTBEAT_INTERVAL_MS;
    this.lookedMs = nowMs;
    if (stoodStill) this.heardMs = nowMs;
    for (const { lastReceivedMs } of this.paths.values()) this.heardMs = Math.max(this.heardMs, lastReceivedMs);
    if (this.paths.size === 0) return;
    const quietMs = nowMs - this.heardMs;
    if (quietMs >= CLIENT_QUIET_MS === this.isQuiet) return;
    this.isQuiet = !this.isQuiet;
    this.ports.quietChanged(this.isQuiet ? Math.round(quietMs) : null);
  }

  close(): void {
    this.lines.close();
  }
}
