// How fast bodies move on one path in one direction, from what is unanswered and when answers come: bytes answered over the time in which
// some were out, looked at in spells. A spell in which the pipe was not full shows only that the path is at least so fast: it raises the
// estimate and never lowers it. Pure over the times it is given, and allocates nothing. Leaves directions and round trips to path-load.ts.

import {
  FLIGHT_FIRST_BYTES,
  RATE_AGES_MS,
  RATE_FALL_FULL_BYTES,
  RATE_FULL_TRIPS,
  RATE_GAIN_MAX,
  RATE_MIN_BYTES_PER_MS,
  RATE_RISE_FULL_BYTES,
  RATE_SPELL_MS,
} from './limits.ts';

export class RateMeter {
  /** Bytes per ms; 0: nothing is known. */
  bytesPerMs = 0;
  /** Bytes of bodies that are out and unanswered. */
  unansweredBytes = 0;
  /** A full pipe was measured, and not too long ago: until then little may be out at a time. */
  isMeasured = false;
  /** What may be out while it is not measured. */
  flightBytes = FLIGHT_FIRST_BYTES;
  /** The estimate is what the link can carry; else only what was asked of it, and it may be faster. */
  isLimit = false;
  /** When something was sent or answered last; at first, when it began. */
  lastUsedMs: number;
  private spellStartMs = 0;
  private spellBytes = 0;
  /** The spell began with nothing out: its first round trip moved nothing. */
  private isFromIdle = true;
  private answers = 0;
  /** Sum of what was out before each answer. */
  private outSumBytes = 0;
  private mostOutBytes = 0;

  constructor(nowMs: number) {
    this.lastUsedMs = nowMs;
  }

  /** For people; null: nothing is known. */
  get bytesPerSecond(): number | null {
    return this.bytesPerMs === 0 ? null : Math.round(this.bytesPerMs * 1000);
  }

  /** What is out takes so long by the estimate. */
  get unansweredMs(): number {
    return this.bytesPerMs === 0 ? 0 : this.unansweredBytes / this.bytesPerMs;
  }

  sent(bytes: number, nowMs: number): void {
    if (this.unansweredBytes === 0) {
      if (nowMs - this.lastUsedMs > RATE_AGES_MS) this.age();
      this.begin(nowMs, true);
    }
    this.lastUsedMs = nowMs;
    this.unansweredBytes += bytes;
    if (this.unansweredBytes > this.mostOutBytes) this.mostOutBytes = this.unansweredBytes;
  }

  /** `tripMs`: round trip of the path with nothing under way in this direction. */
  answered(bytes: number, nowMs: number, tripMs: number): void {
    this.spellBytes += bytes;
    this.answers++;
    this.outSumBytes += this.unansweredBytes;
    this.unansweredBytes -= bytes;
    this.lastUsedMs = nowMs;
    const isOver = this.unansweredBytes === 0;
    const spellMs = nowMs - this.spellStartMs;
    if (!isOver && spellMs < Math.max(RATE_SPELL_MS, tripMs) + (this.isFromIdle ? tripMs : 0)) return;
    // What was left of the answers that ended the spell before shows nothing: they came together.
    if (this.isFromIdle || spellMs >= RATE_SPELL_MS) this.learn(spellMs, tripMs);
    this.begin(nowMs, isOver);
  }

  /** These bytes wait for the peer, not for the link: they show nothing of it. */
  setAside(bytes: number, nowMs: number): void {
    this.unansweredBytes -= bytes;
    this.begin(nowMs, this.unansweredBytes === 0);
  }

  private learn(spellMs: number, tripMs: number): void {
    const movedMs = this.isFromIdle && spellMs > tripMs * RATE_FULL_TRIPS ? spellMs - tripMs : spellMs;
    if (movedMs <= 0) return;
    const moved = this.spellBytes / movedMs;
    // What was out on the average took this long: much longer than a round trip when it had to wait for the link.
    const waitMs = this.outSumBytes / this.answers / moved;
    const isFull = waitMs > tripMs * RATE_FULL_TRIPS;
    // Of a pipe that was not full, what came in a burst after a wait for a processor would show too much without the round trip.
    const sample = isFull ? moved : this.spellBytes / spellMs;
    const old = this.bytesPerMs;
    if (old === 0) this.bytesPerMs = sample;
    else if (sample > old) this.bytesPerMs += (sample - old) * Math.min(RATE_GAIN_MAX, this.spellBytes / RATE_RISE_FULL_BYTES);
    else if (isFull)
      this.bytesPerMs +=
        (sample - old) * Math.min(1, spellMs / RATE_SPELL_MS) * Math.min(RATE_GAIN_MAX, this.spellBytes / RATE_FALL_FULL_BYTES);
    if (isFull && this.bytesPerMs < RATE_MIN_BYTES_PER_MS) this.bytesPerMs = RATE_MIN_BYTES_PER_MS;
    if (isFull) this.isLimit = true;
    else if (sample > old) this.isLimit = false;
    if (this.isMeasured) return;
    const isUsed = this.mostOutBytes * 2 > this.flightBytes;
    if (isFull && (spellMs >= RATE_SPELL_MS || this.spellBytes * 2 >= FLIGHT_FIRST_BYTES)) this.isMeasured = true;
    else if (isUsed) this.flightBytes *= 2;
  }

  private begin(nowMs: number, isFromIdle: boolean): void {
    this.spellStartMs = nowMs;
    this.spellBytes = 0;
    this.isFromIdle = isFromIdle;
    this.answers = 0;
    this.outSumBytes = 0;
    this.mostOutBytes = this.unansweredBytes;
  }

  /** What was measured long ago is still the best guess, but not one to send much by. */
  private age(): void {
    this.isMeasured = false;
    this.flightBytes = FLIGHT_FIRST_BYTES;
  }
}
