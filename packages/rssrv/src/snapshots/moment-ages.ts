// The age of the newest moment of each replication. Invariant: an age is at least the time that this server has seen pass since it first saw
// the moment, so that no clock, however it is set, makes a moment look newer than it is seen to be. Rules: T5.

import type { Clock } from '@rsio/base/lib/clock';

interface Seen {
  readonly group: string;
  /** Monotonic time. */
  readonly atMs: number;
}

export class MomentAges {
  private readonly clock: Pick<Clock, 'monotonicMs' | 'wallMs'>;
  private readonly seen = new Map<string, Seen>();

  constructor(clock: Pick<Clock, 'monotonicMs' | 'wallMs'>) {
    this.clock = clock;
  }

  /** Forgets all other replications. */
  follow(ids: ReadonlySet<string>): void {
    for (const id of this.seen.keys()) if (!ids.has(id)) this.seen.delete(id);
  }

  /** Returns the age of the newest moment of a replication. `madeMs`: time of the moment by a clock. */
  ageMs(replication: string, group: string, madeMs: number): number {
    const nowMs = this.clock.monotonicMs();
    const known = this.seen.get(replication);
    const seen = known?.group === group ? known : { group, atMs: nowMs };
    this.seen.set(replication, seen);
    return Math.max(this.clock.wallMs() - madeMs, nowMs - seen.atMs, 0);
  }
}
