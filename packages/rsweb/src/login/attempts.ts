// Slows down wrong tokens of an address. Other addresses are not affected, and neither are logins that exist. Pure but for the clock.
// Invariant: the table is bounded.

import type { Clock } from '@rsio/common/lib/clock';
import { sourceKey } from '@rsio/common/lib/subnet';
import { TokenBucket } from '@rsio/common/structures/token-bucket';
import { SOURCES_COUNTED_MAX, WRONG_AT_ONCE, WRONG_EACH_MS } from './limits.ts';

export class Attempts {
  private readonly clock: Pick<Clock, 'monotonicMs'>;
  private readonly buckets = new Map<string, TokenBucket>();

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.clock = clock;
  }

  /** Time in ms until the address may try again; 0 if it may at once. */
  waitMs(address: string): number {
    return this.buckets.get(sourceKey(address))?.waitMs(this.clock.monotonicMs()) ?? 0;
  }

  /** Counts a wrong token. */
  wrong(address: string): void {
    const key = sourceKey(address);
    const bucket = this.buckets.get(key) ?? new TokenBucket({ atOnce: WRONG_AT_ONCE, eachMs: WRONG_EACH_MS });
    bucket.take(this.clock.monotonicMs());
    this.buckets.set(key, bucket);
    if (this.buckets.size > SOURCES_COUNTED_MAX) this.forgetOne();
  }

  private forgetOne(): void {
    let first: [string, number] | null = null;
    for (const [key, { fullAtMs }] of this.buckets) if (first === null || fullAtMs < first[1]) first = [key, fullAtMs];
    if (first !== null) this.buckets.delete(first[0]);
  }
}
