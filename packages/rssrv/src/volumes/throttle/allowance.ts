// Two token buckets: one for a limit of requests, and one for a limit of bytes. Invariant: a request passes only if no bucket is empty,
// and then takes from every bucket.

import type { IoLimits } from '@rsio/common/config/schema/types';
import { RateBucket } from '@rsio/common/structures/rate-bucket';

export class Allowance {
  private requests: RateBucket | null = null;
  private bytes: RateBucket | null = null;

  /** Sets the limits. If `rates` is null, removes the limits. */
  set(rates: IoLimits | null, nowMs: number): void {
    this.requests = changed(this.requests, rates?.iops ?? null, rates?.burstMs ?? 0, nowMs);
    this.bytes = changed(this.bytes, rates?.bytesPerSecond ?? null, rates?.burstMs ?? 0, nowMs);
  }

  get isUnlimited(): boolean {
    return this.requests === null && this.bytes === null;
  }

  lets(nowMs: number): boolean {
    return (this.requests === null || this.requests.hasAny(nowMs)) && (this.bytes === null || this.bytes.hasAny(nowMs));
  }

  take(bytes: number): void {
    this.requests?.take(1);
    this.bytes?.take(bytes);
  }

  /** Time in ms until a request may pass; Infinity if a request can pass only after a change of the limit. */
  waitMs(nowMs: number): number {
    return Math.max(this.requests?.waitMs(nowMs) ?? 0, this.bytes?.waitMs(nowMs) ?? 0);
  }

  /** Returns the limit that makes a request wait longest. */
  heldBy(nowMs: number): 'iops' | 'bandwidth' {
    return (this.requests?.waitMs(nowMs) ?? 0) >= (this.bytes?.waitMs(nowMs) ?? 0) ? 'iops' : 'bandwidth';
  }
}

function changed(bucket: RateBucket | null, perSecond: number | null, burstMs: number, nowMs: number): RateBucket | null {
  if (perSecond === null) return null;
  const now = bucket ?? new RateBucket(nowMs);
  now.set(perSecond, burstMs, nowMs);
  return now;
}
