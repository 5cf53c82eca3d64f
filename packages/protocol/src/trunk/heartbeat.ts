// Heartbeats of one path, seen from one end: when to PING, what the answers say about each direction, and the round trip.
// Pure over the times it is given. A PING carries how many PINGs its sender has heard, so that each side tells its sending (tx)
// from its receiving (rx): who hears but is not heard has a one-way fault.

import type { Heartbeat as HeartbeatMessage } from '../wire/messages.ts';

export type Direction = 'ok' | 'fail' | '-';

const SRTT_GAIN = 1 / 8;

export class Heartbeat {
  private readonly intervalMs: number;
  private sent = 0;
  private heard = 0;
  /** PINGs of ours the peer says it has heard, and when that number last grew or all were heard. */
  private peerHeard = 0;
  private peerHeardAllMs: number;
  private sentAtMs: number;
  private receivedMs: number;
  private smoothedMs: number | null = null;

  constructor(intervalMs: number, nowMs: number) {
    this.intervalMs = intervalMs;
    this.sentAtMs = nowMs - intervalMs;
    this.receivedMs = nowMs;
    this.peerHeardAllMs = nowMs;
  }

  /** Smoothed round trip, ms; null before the first answer. */
  get roundTripMs(): number | null {
    return this.smoothedMs;
  }

  /** When anything was last received. */
  get lastReceivedMs(): number {
    return this.receivedMs;
  }

  /** Any byte counts as life. */
  received(nowMs: number): void {
    this.receivedMs = nowMs;
  }

  /** Our own event loop stood still: the peer is not blamed for it. */
  excuse(stallMs: number, nowMs: number): void {
    this.receivedMs = Math.min(nowMs, this.receivedMs + stallMs);
    this.peerHeardAllMs = Math.min(nowMs, this.peerHeardAllMs + stallMs);
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
    this.noteHeard(ping.heard, nowMs);
    return { number: ping.number, clockMs: ping.clockMs, heard: this.heard, oldestMs, generation };
  }

  /** A PONG came. One that answers nothing we sent is ignored. */
  onPong(pong: HeartbeatMessage, nowMs: number): void {
    this.noteHeard(pong.heard, nowMs);
    if (pong.number > this.sent || pong.clockMs > nowMs) return;
    const tripMs = nowMs - pong.clockMs;
    this.smoothedMs = this.smoothedMs === null ? tripMs : this.smoothedMs + (tripMs - this.smoothedMs) * SRTT_GAIN;
  }

  /** Does what we send arrive? Judged by what the peer says it has heard; while nothing is heard from it, nobody can tell. */
  tx(nowMs: number, deadMs: number): Direction {
    if (this.rx(nowMs, deadMs) === 'fail') return '-';
    return nowMs - this.peerHeardAllMs > deadMs ? 'fail' : 'ok';
  }

  rx(nowMs: number, deadMs: number): Direction {
    return nowMs - this.receivedMs > deadMs ? 'fail' : 'ok';
  }

  private noteHeard(peerHeard: number, nowMs: number): void {
    if (peerHeard > this.peerHeard || peerHeard >= this.sent) this.peerHeardAllMs = nowMs;
    if (peerHeard > this.peerHeard) this.peerHeard = peerHeard;
  }
}
