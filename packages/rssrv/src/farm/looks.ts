// Coalesces looks at a record, because many answers may wait for one. Invariant: a look that answers a call has begun after the call.
// Rule: F8.

import type { Clock } from '@rsio/base/lib/clock';
import { LOOK_VALID_MS } from './limits.ts';

export class Looks {
  private readonly look: () => Promise<boolean>;
  /** Settles when no look is running. */
  private last: Promise<unknown> = Promise.resolve();
  private next: Promise<boolean> | null = null;

  constructor(look: () => Promise<boolean>) {
    this.look = look;
  }

  /**
   * Resolves with the result of a look that begins later. All calls that wait share the next look, and so do all calls of one event,
   * because a look begins only after the present code has returned.
   */
  ask(): Promise<boolean> {
    this.next ??= this.begin(this.last);
    return this.next;
  }

  private async begin(last: Promise<unknown>): Promise<boolean> {
    await last;
    this.next = null;
    const running = this.look();
    this.last = running.catch(() => undefined);
    return await running;
  }
}

/** The looks of a session at the owner of one shared pool. */
export class PoolLooks {
  /** Until this monotonic time, each request of the only writer of a volume is answered without a look of its own. */
  validUntilMs = Number.NEGATIVE_INFINITY;
  private isAsking = false;
  private readonly looks: Looks;
  private readonly askAge: () => Promise<number | null>;
  private readonly clock: Pick<Clock, 'monotonicMs'>;

  constructor(look: () => Promise<boolean>, askAge: () => Promise<number | null>, clock: Pick<Clock, 'monotonicMs'>) {
    this.askAge = askAge;
    this.clock = clock;
    this.looks = new Looks(async () => {
      const beganMs = clock.monotonicMs();
      const isMine = await look();
      if (isMine) this.began(beganMs);
      return isMine;
    });
  }

  /** See Looks.ask. */
  ask(): Promise<boolean> {
    return this.looks.ask();
  }

  /** Learns the age of the last look of the listener, unless an earlier question has no answer yet. */
  async learnAge(): Promise<void> {
    if (this.isAsking) return;
    this.isAsking = true;
    // The listener computes the age after this moment, so the look certainly began at or after this moment minus the age.
    const askedMs = this.clock.monotonicMs();
    const ageMs = await this.askAge().finally(() => (this.isAsking = false));
    if (ageMs !== null) this.began(askedMs - ageMs);
  }

  private began(atMs: number): void {
    this.validUntilMs = Math.max(this.validUntilMs, atMs + LOOK_VALID_MS);
  }
}
