// How often an address may fail to prove itself. Connections that prove themselves are not counted, however many; what to do with an
// address that must wait is left to the listener. Invariant: memory is bounded, and an address that is left alone is soon free again.

import type { Clock } from '../lib/clock.ts';
import { FAILED_PROOFS_ADDRESSES_MAX, FAILED_PROOFS_PER_ADDRESS_MAX, FAILED_PROOFS_WINDOW_MS } from '../limits.ts';

export class AttemptLimit {
  private readonly clock: Clock;
  /** Times of the last failures, oldest first, at most FAILED_PROOFS_PER_ADDRESS_MAX; addresses in order of their last failure. */
  private readonly failures = new Map<string, number[]>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Counts a failed proof. */
  failed(address: string): void {
    const nowMs = this.clock.monotonicMs();
    const times = [...(this.failures.get(address) ?? []), nowMs].slice(-FAILED_PROOFS_PER_ADDRESS_MAX);
    this.failures.delete(address);
    this.forgetOldest(nowMs);
    this.failures.set(address, times);
  }

  /** Milliseconds until the address may try again; 0: it may now. */
  waitMs(address: string): number {
    const times = this.failures.get(address);
    if (times === undefined || times.length < FAILED_PROOFS_PER_ADDRESS_MAX) return 0;
    return Math.max(0, times[0]! + FAILED_PROOFS_WINDOW_MS - this.clock.monotonicMs());
  }

  /** Addresses remembered. */
  get size(): number {
    return this.failures.size;
  }

  private forgetOldest(nowMs: number): void {
    for (const [address, times] of this.failures) {
      const isExpired = times.at(-1)! + FAILED_PROOFS_WINDOW_MS <= nowMs;
      if (!isExpired && this.failures.size < FAILED_PROOFS_ADDRESSES_MAX) return;
      this.failures.delete(address);
    }
  }
}
