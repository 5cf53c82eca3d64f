// Lets only so many connections be set up at a time: a client with thousands of paths that begins them all at once has no time left for the
// handshakes, whose peers then give up one after the other. Whoever takes long gives his turn up without being disturbed, so that addresses
// which stay silent hold nobody up. Invariant: whoever waits gets a turn, in order of coming, and no timer runs while nobody waits.

import type { Clock, Timer } from '@rsio/common/lib/clock';
import { CONNECTS_AT_ONCE_MAX, CONNECT_TURN_MS } from './limits.ts';
import type { Connector } from '@rsio/protocol/link/path-transport';

export class ConnectionLimiter {
  private readonly clock: Clock;
  /** Since when each has its turn, the oldest first. */
  private readonly turns = new Map<object, number>();
  private readonly waiting = new Map<object, () => void>();
  private timer: Timer | null = null;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Calls `go` when it is the turn of `who`: now, or later. */
  enter(who: object, go: () => void): void {
    this.waiting.set(who, go);
    this.admit();
  }

  /** The turn of `who` is over, or it does not want one any more. */
  leave(who: object): void {
    this.waiting.delete(who);
    this.turns.delete(who);
    this.admit();
  }

  /** A connector whose connections wait for the turn of `who`; each turn lasts until `leave`. */
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
