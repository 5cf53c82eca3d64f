// Detects a worker that is blocked by its storage. It is pinged regularly; one that sleeps and does not answer is waiting for its storage on the
// thread that answers PINGs, and the listener tells its clients. A stopped or busy worker is not blocked. Pings are counted, not time: after the
// listener itself was blocked, answers may be there unread.

import type { Clock, Timer } from '@rsio/common/lib/clock';
import { WORKER_PINGS_UNANSWERED, WORKER_PING_MS } from './limits.ts';

export interface WorkerWatchPorts {
  readonly clock: Clock;
  ping(): void;
  /** Whether the process is sleeping now. */
  isAsleep(): boolean;
  /** `forMs`: null: it is blocked; else it is running again, after that many ms. */
  changed(forMs: number | null): void;
}

export class WorkerWatch {
  private readonly ports: WorkerWatchPorts;
  private timer: Timer | null = null;
  /** When the unanswered ping was sent; null: there is none. */
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

  /** For how many ms it has been waiting for its storage; null: it is not. */
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
    // One ping at a time, so that unread pings do not pile up.
    this.unanswered++;
    if (this.wasReported || this.blockedMs === null) return;
    this.wasReported = true;
    this.ports.changed(null);
  }
}
