// Limits how many connections are being set up at the same time. A client that started thousands of paths at once could not keep up with
// the handshakes, and its peers would time out one after the other. An attempt that takes long loses its turn but continues, so that
// addresses that do not answer delay no others. Invariant: waiting attempts get a turn in order of arrival, and no timer runs while none
// waits.

import type { Clock, Timer } from '@rsio/common/lib/clock';
import { CONNECTS_AT_ONCE_MAX, CONNECT_TURN_MS } from './limits.ts';
import type { Connector } from '@rsio/protocol/link/path-transport';

export class ConnectionLimiter {
  private readonly clock: Clock;
  /** Key: the attempt that has a turn. Value: the start of the turn. The oldest turn comes first. */
  private readonly turns = new Map<object, number>();
  private readonly waiting = new Map<object, () => void>();
  private timer: Timer | null = null;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Calls `go` when `who` gets a turn, possibly at once. */
  enter(who: object, go: () => void): void {
    this.waiting.set(who, go);
    this.admit();
  }

  /** Ends the turn of `who`, or removes `who` from the waiting attempts. */
  leave(who: object): void {
    this.waiting.delete(who);
    this.turns.delete(who);
    this.admit();
  }

  /** Returns a connector whose connections wait until `who` gets a turn. The turn lasts until `leave`. */
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
