// Tracks the load and the performance of one path: unanswered bytes and rate in each direction, round trip, and the send time of each
// request. Invariant: `requests` is the number of slots whose answer is pending on this path. Tracking a request allocates no memory.

import { counted } from '@rsio/base/lib/assert';
import type { Histogram } from '@rsio/base/structures/histogram';
import { HELD_BY_STORAGE_MS, LATE_MS, TRIP_GAIN_DOWN, TRIP_GAIN_UP } from '../limits.ts';
import { OP } from '../../wire/frames.ts';
import { RateMeter } from './rate-meter.ts';
import type { Request } from '../requests/request.ts';

/** Latencies of a path's READs and WRITEs, from sending to the complete answer, over all connections of the path. */
export interface PathLatencies {
  readonly read: Histogram;
  readonly write: Histogram;
}

/** Totals over all connections of a path since the daemon started. */
export interface PathTotals {
  readonly requests: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly unansweredBytes: number;
  /** Number of requests sent again on this path after another path became silent or died. */
  readonly resent: number;
  /**
   * `hedged`: number of requests copied to this path because they were late on another path. `probed`: number of copies sent to measure the
   * rate of this path.
   */
  readonly hedged: number;
  readonly probed: number;
  /** Number of answers dropped because another path had already delivered the result. */
  readonly dropped: number;
  readonly deaths: number;
  readonly roundTripMs: number | null;
  /** Estimated rates that the scheduler uses; null if nothing has been measured. */
  readonly receivingBytesPerSecond: number | null;
  readonly sendingBytesPerSecond: number | null;
}

const OTHER = 0;
const READS = 1;
const WRITES = 2;
/** Value added to the kind of a request (READS or WRITES) when the request is assumed to wait for the server's storage. */
const HELD = 2;

export class PathLoad {
  /** `receiving`: measures the READ data that arrives. `sending`: measures the WRITE data that is sent. */
  readonly receiving: RateMeter;
  readonly sending: RateMeter;
  requests = 0;
  /** Round trip in ms when nothing else is in flight; null if unknown. */
  tripMs: number | null = null;
  /** Send time of the newest PING that the server has answered with a PONG. Everything sent before that PING has reached the server. */
  pingedMs = Number.NEGATIVE_INFINITY;
  // Estimates that `prepare` in scheduler.ts makes at each pump of the trunk.
  receivingMsPerByte = 0;
  sendingMsPerByte = 0;
  delayMs = 0;
  overdueMs = 0;
  private readonly sentMs: Float64Array;
  private readonly bytes: Uint32Array;
  private readonly kinds: Uint8Array;
  private readonly latencies: PathLatencies;

  constructor(slots: number, nowMs: number, latencies: PathLatencies) {
    this.sentMs = new Float64Array(slots);
    this.bytes = new Uint32Array(slots);
    this.kinds = new Uint8Array(slots);
    this.receiving = new RateMeter(nowMs);
    this.sending = new RateMeter(nowMs);
    this.latencies = latencies;
  }

  sent(request: Request, slot: number, nowMs: number): void {
    this.requests++;
    this.sentMs[slot] = nowMs;
    this.bytes[slot] = request.bodyBytes;
    if (request.op === OP.READ) {
      this.kinds[slot] = READS;
      this.receiving.sent(request.bodyBytes, nowMs);
    } else if (request.op === OP.WRITE) {
      this.kinds[slot] = WRITES;
      this.sending.sent(request.bodyBytes, nowMs);
    } else {
      this.kinds[slot] = OTHER;
    }
  }

  answered(slot: number, nowMs: number): void {
    this.requests = counted(this.requests - 1, 'requests on a path');
    const kind = this.kinds[slot]!;
    if (kind === OTHER) return;
    this.kinds[slot] = OTHER;
    const isRead = kind === READS || kind === READS + HELD;
    const meter = isRead ? this.receiving : this.sending;
    // A request may also wait for data in the opposite direction. For example, a READ waits until earlier WRITE data has been sent.
    const otherMs = isRead ? this.sending.unansweredMs : this.receiving.unansweredMs;
    if (kind <= WRITES) meter.answered(this.bytes[slot]!, nowMs, (this.tripMs ?? 0) + otherMs);
    (isRead ? this.latencies.read : this.latencies.write).add((nowMs - this.sentMs[slot]!) * 1000);
  }

  /** Send time of the request in this slot, which must be in flight on this path. */
  sentAtMs(slot: number): number {
    return this.sentMs[slot]!;
  }

  /**
   * True if the request in this slot has been in flight for LATE_MS, and slow storage alone does not explain the delay. Slow storage does
   * not explain the delay if no PONG proves that the request has reached the server, or if PONGs are also late.
   */
  isLate(slot: number, heartbeatMs: number, nowMs: number): boolean {
    const sentMs = this.sentMs[slot]!;
    if (nowMs - sentMs < LATE_MS) return false;
    return this.pingedMs < sentMs || nowMs - this.pingedMs - heartbeatMs - 2 * (this.tripMs ?? 0) > LATE_MS;
  }

  /**
   * Called when a PONG has arrived. `isAlone`: true if no request was in flight when the PING was sent. If `isAlone` is false, `tripMs` may
   * include waiting time.
   */
  ponged(tripMs: number, isAlone: boolean, nowMs: number): void {
    this.pingedMs = nowMs - tripMs;
    if (this.requests > 0) this.setAsideHeld(nowMs);
    const old = this.tripMs ?? tripMs;
    if (isAlone || tripMs < old || this.tripMs === null)
      this.tripMs = old + (tripMs - old) * (tripMs > old ? TRIP_GAIN_UP : TRIP_GAIN_DOWN);
  }

  /** Removes from the load the requests that reached the server long ago. */
  private setAsideHeld(nowMs: number): void {
    const beforeMs = Math.min(this.pingedMs, nowMs - HELD_BY_STORAGE_MS);
    for (let slot = 0; slot < this.kinds.length; slot++) {
      const kind = this.kinds[slot]!;
      if (kind === OTHER || kind > WRITES || this.sentMs[slot]! >= beforeMs) continue;
      this.kinds[slot] = kind + HELD;
      (kind === READS ? this.receiving : this.sending).setAside(this.bytes[slot]!, nowMs);
    }
  }

  get unansweredBytes(): number {
    return this.receiving.unansweredBytes + this.sending.unansweredBytes;
  }
}
