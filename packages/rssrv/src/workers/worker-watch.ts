// Whether a server process runs: it is asked again and again, and one that does not answer while it sleeps waits for its storage, on the thread
// that answers PINGs. Its client hears nothing of it, and is told by the listener. One that is stopped, or busy, waits for no storage.
// Counts questions, not time: when the listener itself stood still, the answers are there and not read yet.

import type { Clock, Timer } from '@rsio/common/lib/clock';
import { WORKER_PINGS_UNANSWERED, WORKER_PING_MS } from './limits.ts';

export interface WorkerWatchPorts {
  readonly clock: Clock;
  ping(): void;
  /** The process sleeps just now. */
  isAsleep(): boolean;
  /** `forMs`: null: it stands still; else it goes on, after so long. */
  changed(forMs: number | null): void;
}

export class WorkerWatch {
  private readonly ports: WorkerWatchPorts;
  private timer: Timer | null = null;
  /** When the question was asked that is not answered; null: it is. */
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

  /** For how long it has been waiting for its storage, ms; null: it is not. */
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
    // One question at a time: what nobody reads is not to pile up.
    this.unanswered++;
    if (this.wasReported || this.blockedMs === null) return;
    this.wasReported = true;
    this.ports.changed(null);
  }
}
