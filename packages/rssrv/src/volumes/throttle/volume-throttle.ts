// The throttle of one session on one volume: its share of the limits, a pause or stop, and the queue of waiting requests. Invariants:
// requests of a volume begin in the order of their arrival. Each waiting request either begins or is ended with a status, and only one of
// these happens. The queue holds at most as many requests as the session has slots.

import { FixedQueue } from '@rsio/base/structures/fixed-queue';
import { SLOTS } from '@rsio/protocol/wire/limits';
import type { Status } from '@rsio/protocol/wire/status';
import { Allowance } from './allowance.ts';
import type { HeldBy, ShareUse, ThrottleSetting } from './throttle-messages.ts';

export interface ThrottledHandle {
  readonly handle: number;
  readonly volume: { readonly id: string };
  /** The throttle of the handle's volume; null while nothing limits the I/O of the handle. */
  throttle: VolumeThrottle | null;
}

/** A waiting request. Only one of `start` and `end` is called, and only once. */
export interface HeldRequest {
  readonly open: ThrottledHandle;
  readonly bytes: number;
  /** Time at which the request began to wait. */
  readonly sinceMs: number;
  start(nowMs: number): void;
  /** Answers the request without executing it. */
  end(status: Status): void;
}

export class VolumeThrottle {
  readonly volumeId: string;
  /** Number of the last setting; -1 if no setting was received. A session receives no setting if only its client has limits. */
  number = -1;
  isStopped = false;
  private pausedUntilMs: number | null = null;
  private readonly own = new Allowance();
  /** The allowance of the client, which all its volumes share. */
  private readonly ofClient: Allowance;
  private readonly queue = new FixedQueue<HeldRequest>(SLOTS);

  constructor(volumeId: string, ofClient: Allowance) {
    this.volumeId = volumeId;
    this.ofClient = ofClient;
  }

  set({ rates, reportMs, halt }: ThrottleSetting, nowMs: number): void {
    this.own.set(rates, nowMs);
    this.own.reportMs = reportMs;
    this.isStopped = halt?.kind === 'stopped';
    this.pausedUntilMs = halt?.kind === 'paused' ? nowMs + halt.leftMs : null;
  }

  /** True if the volume itself has no limit, and is neither paused nor stopped. */
  get isFree(): boolean {
    return this.own.isUnlimited && !this.isStopped && this.pausedUntilMs === null;
  }

  /** Interval at which the session must report its use; null if no other session has a share. */
  get reportMs(): number | null {
    return this.own.reportMs;
  }

  get held(): number {
    return this.queue.length;
  }

  /** Time at which the first waiting request began to wait; null if no request waits. */
  get heldSinceMs(): number | null {
    return this.queue.peek()?.sinceMs ?? null;
  }

  /**
   * Returns true if a request may begin now, and then subtracts the request from the allowance. If the result is false, the caller must
   * pass the request to `hold`.
   */
  admits(bytes: number, nowMs: number): boolean {
    if (this.queue.length > 0 || !this.lets(nowMs)) return false;
    this.take(bytes);
    return true;
  }

  hold(request: HeldRequest): void {
    this.queue.push(request);
  }

  /** Begins the first waiting request if it may begin. Returns true if the request has begun. */
  release(nowMs: number): boolean {
    if (this.queue.length === 0 || !this.lets(nowMs)) return false;
    const request = this.queue.shift()!;
    this.take(request.bytes);
    request.start(nowMs);
    return true;
  }

  /** Ends the waiting requests of a handle, or all of them if `open` is null. */
  endHeld(open: ThrottledHandle | null, status: Status): void {
    const ended: HeldRequest[] = [];
    for (let left = this.queue.length; left > 0; left--) {
      const request = this.queue.shift()!;
      if (open === null || request.open === open) ended.push(request);
      else this.queue.push(request);
    }
    for (const request of ended) request.end(status);
  }

  /** Time in ms until the first waiting request may begin. */
  waitMs(nowMs: number): number {
    const pauseMs = this.pausedUntilMs === null ? 0 : this.pausedUntilMs - nowMs;
    return Math.max(pauseMs, this.own.waitMs(nowMs), this.ofClient.waitMs(nowMs));
  }

  heldBy(nowMs: number): HeldBy {
    if (this.pausedUntilMs !== null) return 'pause';
    if (this.ofClient.waitMs(nowMs) > this.own.waitMs(nowMs) || this.own.isUnlimited) return `client-${this.ofClient.heldBy(nowMs)}`;
    return this.own.heldBy(nowMs);
  }

  /** Returns the use since the last call, like `Allowance.used`. */
  used(nowMs: number): ShareUse | null {
    const use = this.own.used(this.queue.length > 0, nowMs);
    return use === null ? null : { volumeId: this.volumeId, ...use };
  }

  private lets(nowMs: number): boolean {
    if (this.pausedUntilMs !== null) {
      if (nowMs < this.pausedUntilMs) return false;
      this.pausedUntilMs = null;
    }
    return this.own.lets(nowMs) && this.ofClient.lets(nowMs);
  }

  private take(bytes: number): void {
    this.own.take(bytes);
    this.ofClient.take(bytes);
  }
}
