// Whether a server process runs: it is asked again and again, and one that does not answer while it sleeps waits for its storage, on the thread
// that answers PINGs. Its client hears nothing of it, and is told by the listener. One that is stopped, or busy, waits for no storage.
// Counts questions, not time: when the listener itself stood still, the answers are there and not read yet.

import type { Clock, Timer } from '@rsio/common/lib/clock';
import { WORKER_LOOKS_UNANSWERED, WORKER_LOOK_MS } from './limits.ts';

export interface LoopWatchPorts {
  readonly clock: Clock;
  ask(): void;
  /** The process sleeps just now. */
  isAsleep(): boolean;
  /** `forMs`: null: it stands still; else it goes on, after so long. */
  said(forMs: number | null): void;
}

export class LoopWatch {
  private readonly ports: LoopWatchPorts;
  private timer: Timer | null = null;
  /** When the question was asked that is not answered; null: it is. */
  private askedMs: number | null = null;
  private unanswered = 0;
  private wasSaid = false;

  constructor(ports: LoopWatchPorts) {
    this.ports = ports;
  }

  start(): void {
    this.timer ??= this.ports.clock.after(WORKER_LOOK_MS, () => this.look());
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = null;
  }

  /** For how long it has been waiting for its storage, ms; null: it is not. */
  get stillMs(): number | null {
    if (this.askedMs === null || this.unanswered < WORKER_LOOKS_UNANSWERED || !this.ports.isAsleep()) return null;
    return this.ports.clock.monotonicMs() - this.askedMs;
  }

  answered(): void {
    const { askedMs, wasSaid } = this;
    this.askedMs = null;
    this.unanswered = 0;
    this.wasSaid = false;
    if (wasSaid && askedMs !== null) this.ports.said(this.ports.clock.monotonicMs() - askedMs);
  }

  private look(): void {
    this.timer = null;
    this.start();
    if (this.askedMs === null) {
      this.askedMs = this.ports.clock.monotonicMs();
      this.ports.ask();
      return;
    }
    // One question at a time: what nobody reads is not to pile up.
    this.unanswered++;
    if (this.wasSaid || this.stillMs === null) return;
    this.wasSaid = true;
    this.ports.said(null);
  }
}
