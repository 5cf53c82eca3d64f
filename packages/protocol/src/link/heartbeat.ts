// Heartbeats at one end of a path: decides when a PING is due, measures the round trip, and judges each direction by the peer's frames.
// This module reads no clock; the caller passes the time to each method. A PING carries the number of PINGs that its sender has received.
// Each side can therefore distinguish its sending direction (tx) from its receiving direction (rx). Any byte shows that we hear the peer;
// only an answer or a PONG proves that the peer hears us.

import type { Direction } from '@rsio/base/lib/path-states';
import type { Ping } from '../wire/messages.ts';
import { DIRECTION_FAIL_HEARTBEATS } from './limits.ts';

export interface Directions {
  readonly tx: Direction;
  readonly rx: Direction;
}

export const UNKNOWN_DIRECTIONS: Directions = { tx: '-', rx: '-' };

/** Shorter round trips change the average more than longer ones, so that delays from an outage soon lose their effect. */
const SRTT_GAIN_UP = 1 / 8;
const SRTT_GAIN_DOWN = 1 / 2;

/**
 * `text`: the server's reason for holding back I/O, as words that complete "held by". `sinceMs`: monotonic time since which this reason
 * holds.
 */
export interface HeldBy {
  readonly text: string;
  readonly sinceMs: number;
}

/** The peer's report about the requests that it is executing. */
export interface StorageReport {
  /** Age in ms of the oldest request that was being executed when the peer sent the report; 0 if there was none. */
  readonly oldestMs: number;
  readonly atMs: number;
}

export class Heartbeat {
  /** The newest report from a PING or PONG; null if none has been received. */
  storageReport: StorageReport | null = null;
  /** The interval may be changed at any time; the new value also determines when the next PING is due. */
  intervalMs: number;
  private sent = 0;
  private heard = 0;
  /** Number of the last PING that was answered. A second PONG for the same PING measures no round trip. */
  private ponged = 0;
  /** Number of our PINGs that the peer reports as received. */
  private peerHeard = 0;
  private proofMs: number;
  private peerHeardMs: number;
  private sentAtMs: number;
  private receivedMs: number;
  /** A PING sent before this time measures no round trip, because a stall of our own event loop may have delayed its answer. */
  private tripsFromMs: number;
  private smoothedMs: number | null = null;

  constructor(intervalMs: number, nowMs: number) {
    this.intervalMs = intervalMs;
    this.sentAtMs = nowMs - intervalMs;
    this.receivedMs = nowMs;
    this.proofMs = nowMs;
    this.peerHeardMs = nowMs;
    this.tripsFromMs = nowMs;
  }

  /** Smoothed round trip in ms; null if no answer has been received yet. */
  get roundTripMs(): number | null {
    return this.smoothedMs;
  }

  get lastReceivedMs(): number {
    return this.receivedMs;
  }

  /** Time of the last answer or PONG, which proves that the peer hears us. */
  get lastProofMs(): number {
    return this.proofMs;
  }

  /** Time when the peer last showed that it hears us: by an answer, by a PONG, or by a higher count of our PINGs. */
  get lastHeardMs(): number {
    return Math.max(this.proofMs, this.peerHeardMs);
  }

  /** Records that at least one byte was received, which shows that the peer is alive. */
  received(nowMs: number): void {
    this.receivedMs = nowMs;
  }

  /** Records that an answer or a PONG has arrived, completely or in part. */
  proved(nowMs: number): void {
    this.proofMs = nowMs;
  }

  /** Records that our own event loop was stalled for `stallMs`, so that this time does not count as silence of the peer. */
  excuse(stallMs: number, nowMs: number): void {
    this.receivedMs = Math.min(nowMs, this.receivedMs + stallMs);
    this.proofMs = Math.min(nowMs, this.proofMs + stallMs);
    this.peerHeardMs = Math.min(nowMs, this.peerHeardMs + stallMs);
    this.tripsFromMs = nowMs;
  }

  isDue(nowMs: number): boolean {
    return nowMs - this.sentAtMs >= this.intervalMs;
  }

  sinceSentMs(nowMs: number): number {
    return nowMs - this.sentAtMs;
  }

  /** Returns the next PING; see wire/messages.ts for `oldestMs` and `generation`. */
  ping(nowMs: number, oldestMs: number, generation: number): Ping {
    this.sent++;
    this.sentAtMs = nowMs;
    return { number: this.sent, clockMs: nowMs, heard: this.heard, oldestMs, generation };
  }

  onPing(ping: Ping, nowMs: number, oldestMs: number, generation: number): Ping {
    this.heard++;
    this.storageReport = { oldestMs: ping.oldestMs, atMs: nowMs };
    this.noteHeard(ping.heard, nowMs);
    return { number: ping.number, clockMs: ping.clockMs, heard: this.heard, oldestMs, generation };
  }

  /**
   * Records a received PONG, and returns the round trip in ms. Returns null if the PONG measures no round trip, for example because it
   * answers no PING of ours.
   */
  onPong(pong: Ping, nowMs: number): number | null {
    this.noteHeard(pong.heard, nowMs);
    if (pong.number > this.sent || pong.number <= this.ponged) return null;
    this.ponged = pong.number;
    this.storageReport = { oldestMs: pong.oldestMs, atMs: nowMs };
    if (pong.clockMs > nowMs || pong.clockMs < this.tripsFromMs) return null;
    const tripMs = nowMs - pong.clockMs;
    const oldMs = this.smoothedMs ?? tripMs;
    this.smoothedMs = oldMs + (tripMs - oldMs) * (tripMs > oldMs ? SRTT_GAIN_UP : SRTT_GAIN_DOWN);
    return tripMs;
  }

  /** State of our sending direction, judged by `lastHeardMs`. The state is unknown while nothing is received from the peer. */
  tx(nowMs: number): Direction {
    if (this.rx(nowMs) === 'fail') return '-';
    return this.isOld(this.lastHeardMs, nowMs) ? 'fail' : 'ok';
  }

  rx(nowMs: number): Direction {
    return this.isOld(this.receivedMs, nowMs) ? 'fail' : 'ok';
  }

  directions(nowMs: number): Directions {
    return { tx: this.tx(nowMs), rx: this.rx(nowMs) };
  }

  /**
   * Returns the directions that had failed when the path ended. A direction that worked is returned as unknown, because its state says
   * nothing about the next connection.
   */
  failures(nowMs: number): Directions {
    const { tx, rx } = this.directions(nowMs);
    return { tx: tx === 'fail' ? tx : '-', rx: rx === 'fail' ? rx : '-' };
  }

  private isOld(sinceMs: number, nowMs: number): boolean {
    return nowMs - sinceMs > this.intervalMs * DIRECTION_FAIL_HEARTBEATS;
  }

  private noteHeard(peerHeard: number, nowMs: number): void {
    if (peerHeard <= this.peerHeard) return;
    this.peerHeard = peerHeard;
    this.peerHeardMs = nowMs;
  }
}
