// Two token buckets: one for a limit of requests, and one for a limit of bytes. Counts how much the requests take, for the report on the
// use of a limit that several sessions share. Invariant: a request passes only if no bucket is empty, and then takes from every bucket.

import type { IoLimits } from '@rsio/common/config/schema/io-limits';
import { RateBucket } from '@rsio/base/structures/rate-bucket';
import type { ShareUse } from './throttle-messages.ts';

/** The use of an allowance since the last report. */
export type Use = Omit<ShareUse, 'volumeId'>;

export class Allowance {
  /** Interval at which the use must be reported; null if no other session has a share of the limits. */
  reportMs: number | null = null;
  private requests: RateBucket | null = null;
  private bytes: RateBucket | null = null;
  private usedRequests = 0;
  private usedBytes = 0;
  private isHungry = false;
  /** True if the last report said that something was used. Initially true, so that an idle session reports once that it uses nothing. */
  private wasReported = true;

  /** If `rates` is null, removes the limits. */
  set(rates: IoLimits | null, nowMs: number): void {
    this.requests = changed(this.requests, rates?.iops ?? null, rates?.burstMs ?? 0, nowMs);
    this.bytes = changed(this.bytes, rates?.bytesPerSecond ?? null, rates?.burstMs ?? 0, nowMs);
  }

  get isUnlimited(): boolean {
    return this.requests === null && this.bytes === null;
  }

  lets(nowMs: number): boolean {
    if ((this.requests === null || this.requests.hasAny(nowMs)) && (this.bytes === null || this.bytes.hasAny(nowMs))) return true;
    this.isHungry = true;
    return false;
  }

  take(bytes: number): void {
    this.requests?.take(1);
    this.bytes?.take(bytes);
    this.usedRequests++;
    this.usedBytes += bytes;
  }

  /**
   * Returns the use since the last call; null if nothing was used since the last call, and an earlier call has already reported that
   * nothing is used. `isWaiting`: true if a request waits.
   */
  used(isWaiting: boolean, nowMs: number): Use | null {
    if (isWaiting) this.lets(nowMs);
    const { usedRequests: requests, usedBytes: bytes, isHungry } = this;
    const isUsed = requests > 0 || isHungry;
    if (!isUsed && !this.wasReported) return null;
    this.usedRequests = 0;
    this.usedBytes = 0;
    this.isHungry = false;
    this.wasReported = isUsed;
    return { requests, bytes, isHungry };
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
