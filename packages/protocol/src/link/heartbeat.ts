// Heartbeats of one path, seen from one end: when to send PING, what the answers show about each direction, and the round trip.
// Pure over the times it is given. A PING carries how many PINGs its sender has received, so that each side can distinguish its sending
// direction (tx) from its receiving direction (rx). Any byte shows that we hear the peer; only an answer or a PONG proves that it hears us.

import type { Direction } from '@rsio/common/lib/path-states';
import type { Heartbeat as HeartbeatMessage } from '../wire/messages.ts';
import { DIRECTION_FAIL_HEARTBEATS } from './limits.ts';

export interface Directions {
  readonly tx: Direction;
  readonly rx: Direction;
}

export const UNKNOWN_DIRECTIONS: Directions = { tx: '-', rx: '-' };

/** A longer trip moves the average little; a shorter one much, so that the delays of an outage are soon forgotten. */
const SRTT_GAIN_UP = 1 / 8;
const SRTT_GAIN_DOWN = 1 / 2;

/** What the peer has said of the requests it executes. */
export interface StorageReport {
  /** Age of the oldest when it was said, ms; 0: none was executed. */
  readonly oldestMs: number;
  /** When that was heard. */
  readonly atMs: number;
}

export class Heartbeat {
  /** The newest that a PING or PONG has said; null: none came. */
  storageReport: StorageReport | null = null;
  /** May change at any time; the next PING is due by the new one. */
  intervalMs: number;
  private sent = 0;
  private heard = 0;
  /** Number of the last PING that was answered: a second PONG to it measures nothing. */
  private ponged = 0;
  /** PINGs of ours the peer says it has heard. */
  private peerHeard = 0;
  private proofMs: number;
  private peerHeardMs: number;
  private sentAtMs: number;
  private receivedMs: number;
  /** PINGs sent before this measure no round trip: our own loop stood still. */
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

  /** Smoothed round trip, ms; null before the first answer. */
  get roundTripMs(): number | null {
    return this.smoothedMs;
  }

  /** When anything was last received. */
  get lastReceivedMs(): number {
    return this.receivedMs;
  }

  /** When the last proof came that the peer hears us: an answer or a PONG. */
  get lastProofMs(): number {
    return this.proofMs;
  }

  /** When the peer last showed in any way that it hears us: also by the number of PINGs that it says it has heard. */
  get lastHeardMs(): number {
    return Math.max(this.proofMs, this.peerHeardMs);
  }

  /** Any byte counts as life. */
  received(nowMs: number): void {
    this.receivedMs = nowMs;
  }

  /** An answer or a PONG came, or a part of one. */
  proved(nowMs: number): void {
    this.proofMs = nowMs;
  }

  /** Our own event loop stood still: the peer is not blamed for it. */
  excuse(stallMs: number, nowMs: number): void {
    this.receivedMs = Math.min(nowMs, this.receivedMs + stallMs);
    this.proofMs = Math.min(nowMs, this.proofMs + stallMs);
    this.peerHeardMs = Math.min(nowMs, this.peerHeardMs + stallMs);
    this.tripsFromMs = nowMs;
  }

  isDue(nowMs: number): boolean {
    return nowMs - this.sentAtMs >= this.intervalMs;
  }

  /** Time since the last PING was sent. */
  sinceSentMs(nowMs: number): number {
    return nowMs - this.sentAtMs;
  }

  /** The next PING; `oldestMs` and `generation` as wire/messages.ts says. */
  ping(nowMs: number, oldestMs: number, generation: number): HeartbeatMessage {
    this.sent++;
    this.sentAtMs = nowMs;
    return { number: this.sent, clockMs: nowMs, heard: this.heard, oldestMs, generation };
  }

  /** A PING came: gives the PONG. */
  onPing(ping: HeartbeatMessage, nowMs: number, oldestMs: number, generation: number): HeartbeatMessage {
    this.heard++;
    this.storageReport = { oldestMs: ping.oldestMs, atMs: nowMs };
    this.noteHeard(ping.heard, nowMs);
    return { number: ping.number, clockMs: ping.clockMs, heard: this.heard, oldestMs, generation };
  }

  /** A PONG came: gives the round trip, or null if it measures none. One that answers nothing we sent is ignored. */
  onPong(pong: HeartbeatMessage, nowMs: number): number | null {
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

  /** Does what we send arrive? Judged by what the peer shows to have heard; while nothing is heard from it, nobody can tell. */
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

  /** What is left to say when the path has died: a direction that was well tells nothing any more. */
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
