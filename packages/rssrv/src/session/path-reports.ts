// Reports the paths of one session: in the log, and to the listener, which ends a session that stays without a path and knows for how long it
// has not heard a client. Invariants: a client is quiet from its last frame on, whatever became of the path, until it is heard again; time in
// which this process itself stood still, or had just gone on, does not count.

import { HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import type { Clock } from '@rsio/common/lib/clock';
import type { Log } from '@rsio/common/log/log';
import { RateLimitedLog } from '@rsio/common/log/rate-limited-log';
import type { ServerInterface } from '@rsio/protocol/wire/messages';
import { CLIENT_QUIET_MS } from './limits.ts';
import type { ServerPath } from './server-path.ts';

export interface PathReportPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Called with the number of paths when this number has changed. The listener ends a session that has been without paths for too long. */
  pathsChanged(count: number): void;
  /**
   * Called when no path has received anything for CLIENT_QUIET_MS, with the time in ms since the last frame, and with null when the client is
   * heard again. A machine that stands still closes no connection.
   */
  quietChanged(quietMs: number | null): void;
}

type Named = Pick<ServerPath, 'number' | 'arrivedAt' | 'lastReceivedMs'>;

export class PathReports {
  private readonly ports: PathReportPorts;
  private readonly paths: ReadonlyMap<number, Named>;
  private readonly lines: RateLimitedLog;
  private isQuiet = false;
  /** Time of the last frame on any path, or at which this process went on. */
  private heardMs: number;
  private lookedMs: number;

  /** `paths`: the paths of the session by their numbers, which change. */
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

  /** Called when a connection on an interface did not become a path: the session may never have had one. */
  failed({ name }: ServerInterface, sentence: string): void {
    this.lines.note(`Paths on ${name}`, () => this.ports.log.info(sentence));
    this.ports.pathsChanged(this.paths.size);
  }

  /** Looks whether the client is heard. Called at least once in every heartbeat interval. */
  look(): void {
    const nowMs = this.ports.clock.monotonicMs();
    // A process that stood still has heard nobody, and finds what was sent meanwhile only after this look.
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
