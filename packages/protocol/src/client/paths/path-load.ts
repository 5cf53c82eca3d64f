// What one path carries and how well: bodies unanswered and rate each way, round trip, when each request set out, and what the scheduler
// makes of all that for one pump. Kept in place, nothing is allocated for a request. Leaves choosing to scheduler.ts.
// Invariant: `requests` is the number of slots that are owed an answer here.

import type { Histogram } from '@rsio/common/structures/histogram';
import { HELD_BY_STORAGE_MS, LATE_MS, TRIP_GAIN_DOWN, TRIP_GAIN_UP } from './limits.ts';
import { OP } from '../../wire/frames.ts';
import { RateMeter } from './rate-meter.ts';
import type { Request } from '../requests/request.ts';

/** Latencies of a path's READs and WRITEs, from sending to the whole answer; kept over its lives. */
export interface PathLatencies {
  readonly read: Histogram;
  readonly write: Histogram;
}

/** Sums over all connections of a path since the daemon's start. */
export interface PathTotals {
  readonly requests: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly unansweredBytes: number;
  /** Requests sent here after another path fell silent or died. */
  readonly resent: number;
  /** READs asked for here because they were late on another path, and copies sent here to see how fast it is. */
  readonly hedged: number;
  readonly probed: number;
  /** Answers that came here when the result was there already. */
  readonly dropped: number;
  readonly deaths: number;
  readonly roundTripMs: number | null;
  /** Estimates by which requests are spread; null: nothing was measured. */
  readonly receivingBytesPerSecond: number | null;
  readonly sendingBytesPerSecond: number | null;
}

const OTHER = 0;
const READS = 1;
const WRITES = 2;
/** Added when it waits for the storage. */
const HELD = 2;

export class PathLoad {
  /** READ data to come, WRITE data that went. */
  readonly receiving: RateMeter;
  readonly sending: RateMeter;
  requests = 0;
  /** Round trip with nothing else under way, ms; null: unknown. */
  tripMs: number | null = null;
  /** When the newest PING was said to which a PONG came: what was sent before it has reached the server. */
  pingedMs = Number.NEGATIVE_INFINITY;
  // What `prepare` of scheduler.ts made of it for this pump.
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
    this.requests--;
    const kind = this.kinds[slot]!;
    if (kind === OTHER) return;
    this.kinds[slot] = OTHER;
    const isRead = kind === READS || kind === READS + HELD;
    const meter = isRead ? this.receiving : this.sending;
    // The round trip that a request has for other reasons than its own direction: a READ waits behind what is written, too.
    const otherMs = isRead ? this.sending.unansweredMs : this.receiving.unansweredMs;
    if (kind <= WRITES) meter.answered(this.bytes[slot]!, nowMs, (this.tripMs ?? 0) + otherMs);
    (isRead ? this.latencies.read : this.latencies.write).add((nowMs - this.sentMs[slot]!) * 1000);
  }

  /** When the request of this slot, which is out here, set out. */
  sentAtMs(slot: number): number {
    return this.sentMs[slot]!;
  }

  /** What is out here in this slot has been so for long, and it is not the storage that keeps it: PONGs are late, too. */
  isLate(slot: number, heartbeatMs: number, nowMs: number): boolean {
    const sentMs = this.sentMs[slot]!;
    if (nowMs - sentMs < LATE_MS) return false;
    return this.pingedMs < sentMs || nowMs - this.pingedMs - heartbeatMs - 2 * (this.tripMs ?? 0) > LATE_MS;
  }

  /** A PONG came. `isAlone`: its PING was said when nothing else was under way here; else the trip may have been shorter. */
  ponged(tripMs: number, isAlone: boolean, nowMs: number): void {
    this.pingedMs = nowMs - tripMs;
    if (this.requests > 0) this.setAsideHeld(nowMs);
    const old = this.tripMs ?? tripMs;
    if (isAlone || tripMs < old || this.tripMs === null)
      this.tripMs = old + (tripMs - old) * (tripMs > old ? TRIP_GAIN_UP : TRIP_GAIN_DOWN);
  }

  /** What has reached the server, and is not answered for long, waits for its storage: others may use the link meanwhile. */
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
