// Limits how many connections are being set up at the same time. Without this limit, a client that starts thousands of paths would be too
// slow for the handshakes, and many handshakes would time out. A slow attempt loses its turn but continues, so that a dead address cannot
// delay the other addresses. Invariants: waiting attempts get their turns in order of arrival; the timer runs only while an attempt is
// waiting.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import { CONNECTS_AT_ONCE_MAX, CONNECT_TURN_MS } from './limits.ts';
import type { Connector } from '@rsio/protocol/link/path-transport';

export class ConnectionLimiter {
  private readonly clock: Clock;
  /** Maps each attempt that has a turn to the time at which its turn began, oldest first. */
  private readonly turns = new Map<object, number>();
  private readonly waiting = new Map<object, () => void>();
  private timer: Timer | null = null;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Calls `go` when the attempt `who` gets a turn; this can happen before `enter` returns. */
  enter(who: object, go: () => void): void {
    this.waiting.set(who, go);
    this.admit();
  }

  /** Ends the turn of the attempt `who`, or removes `who` from the waiting attempts. */
  leave(who: object): void {
    this.waiting.delete(who);
    this.turns.delete(who);
    this.admit();
  }

  /**
   * Returns a connector that waits until the attempt `who` gets a turn, and then connects. The turn ends when `leave` is called or, if
   * other attempts are waiting, after CONNECT_TURN_MS.
   */
  connector(who: object, inner: Connector): Connector {
    return {
      connect: (localAddress, address, port, opened, failed) => {
        let attempt: { cancel(): void } | null = null;
        this.enter(who, () => {
          attempt = inner.connect(localAddress, address, port, opened, failed);
        });
        return {
          cancel: () => {
            attempt?.cancel();
            this.leave(who);
          },
        };
      },
    };
  }

  private admit(): void {
    const nowMs = this.clock.monotonicMs();
    for (const [who, sinceMs] of this.turns) {
      if (this.waiting.size === 0 || nowMs - sinceMs < CONNECT_TURN_MS) break;
      this.turns.delete(who);
    }
    for (const [who, go] of this.waiting) {
      if (this.turns.size >= CONNECTS_AT_ONCE_MAX) break;
      this.waiting.delete(who);
      this.turns.set(who, nowMs);
      go();
    }
    this.timer?.cancel();
    this.timer = null;
    const [oldestMs] = this.turns.values();
    if (this.waiting.size > 0 && oldestMs !== undefined)
      this.timer = this.clock.after(Math.max(0, oldestMs + CONNECT_TURN_MS - nowMs), () => this.admit());
  }
}
