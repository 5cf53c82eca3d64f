// Detects a worker that is blocked by its storage. The listener pings each worker regularly. If a worker sleeps and does not answer, its
// main thread is waiting for storage. A stopped or busy worker does not count as blocked. The listener counts unanswered pings instead of
// measuring time: after a pause of the listener itself, an answer may have arrived that the listener has not read yet.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import { WORKER_PINGS_UNANSWERED, WORKER_PING_MS } from '../limits.ts';

export interface WorkerWatchPorts {
  readonly clock: Clock;
  ping(): void;
  isAsleep(): boolean;
  /** Called with null when the worker is found blocked, and with the duration `forMs` of the block when the worker answers again. */
  changed(forMs: number | null): void;
}

export class WorkerWatch {
  private readonly ports: WorkerWatchPorts;
  private timer: Timer | null = null;
  /** Monotonic time at which the unanswered ping was sent; null if every ping has been answered. */
  private pingedMs: number | null = null;
  private unanswered = 0;
  private wasReported = false;

  constructor(ports: WorkerWatchPorts) {
    this.ports = ports;
  }

  start(): void {
    this.timer ??= this.ports.clock.after(WORKER_PING_MS, () => this.check());
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = null;
  }

  /** Time in ms for which the worker has been waiting for its storage; null if it is not waiting. */
  get blockedMs(): number | null {
    if (this.pingedMs === null || this.unanswered < WORKER_PINGS_UNANSWERED || !this.ports.isAsleep()) return null;
    return this.ports.clock.monotonicMs() - this.pingedMs;
  }

  answered(): void {
    const { pingedMs: askedMs, wasReported: wasSaid } = this;
    this.pingedMs = null;
    this.unanswered = 0;
    this.wasReported = false;
    if (wasSaid && askedMs !== null) this.ports.changed(this.ports.clock.monotonicMs() - askedMs);
  }

  private check(): void {
    this.timer = null;
    this.start();
    if (this.pingedMs === null) {
      this.pingedMs = this.ports.clock.monotonicMs();
      this.ports.ping();
      return;
    }
    // Send only one ping at a time, so that unread pings do not accumulate.
    this.unanswered++;
    if (this.wasReported || this.blockedMs === null) return;
    this.wasReported = true;
    this.ports.changed(null);
  }
}
