// Measures how fast frame bodies move in one direction of one path, over periods called spells. The rate is the number of bytes answered,
// divided by the time during which at least one byte was in flight. Pure, allocates nothing. The pipe is full if the bytes in flight wait
// for the link. Invariant: a spell in which the pipe was not full may raise the estimate but never lowers it.

import {
  FLIGHT_FIRST_BYTES,
  RATE_AGES_MS,
  RATE_FALL_FULL_BYTES,
  RATE_FULL_TRIPS,
  RATE_GAIN_MAX,
  RATE_MIN_BYTES_PER_MS,
  RATE_RISE_FULL_BYTES,
  RATE_SPELL_MS,
} from '../limits.ts';

export class RateMeter {
  /** Estimated rate in bytes per ms; 0 if unknown. */
  bytesPerMs = 0;
  unansweredBytes = 0;
  /** True if the rate was measured recently while so many bytes were in flight that they waited for the link. */
  isMeasured = false;
  /** Maximum number of bytes in flight while `isMeasured` is false. */
  flightBytes = FLIGHT_FIRST_BYTES;
  /** True if the estimate is the capacity of the link; false if the estimate reflects only the demand, and the link may be faster. */
  isLimit = false;
  /** Time at which bytes were last sent or answered; initially the creation time of the meter. */
  lastUsedMs: number;
  private spellStartMs = 0;
  private spellBytes = 0;
  /** True if the spell began with nothing in flight; if so, no bytes are answered during its first round trip. */
  private isFromIdle = true;
  private answers = 0;
  /** Bytes in flight immediately before each answer, summed over all answers of the spell. */
  private outSumBytes = 0;
  private mostOutBytes = 0;

  constructor(nowMs: number) {
    this.lastUsedMs = nowMs;
  }

  get bytesPerSecond(): number | null {
    return this.bytesPerMs === 0 ? null : Math.round(this.bytesPerMs * 1000);
  }

  /** Time in ms that the bytes in flight take at the estimated rate. */
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

  /** `tripMs`: round trip of the path when nothing else is in flight in this direction. */
  answered(bytes: number, nowMs: number, tripMs: number): void {
    this.spellBytes += bytes;
    this.answers++;
    this.outSumBytes += this.unansweredBytes;
    this.unansweredBytes -= bytes;
    this.lastUsedMs = nowMs;
    const isOver = this.unansweredBytes === 0;
    const spellMs = nowMs - this.spellStartMs;
    if (!isOver && spellMs < Math.max(RATE_SPELL_MS, tripMs) + (this.isFromIdle ? tripMs : 0)) return;
    // Learn nothing from answers that arrived together with the answer that ended the previous spell.
    if (this.isFromIdle || spellMs >= RATE_SPELL_MS) this.learn(spellMs, tripMs);
    this.begin(nowMs, isOver);
  }

  /** Excludes bytes that are waiting for the server rather than for the link, because they say nothing about the link. */
  setAside(bytes: number, nowMs: number): void {
    this.unansweredBytes -= bytes;
    this.begin(nowMs, this.unansweredBytes === 0);
  }

  private learn(spellMs: number, tripMs: number): void {
    const movedMs = this.isFromIdle && spellMs > tripMs * RATE_FULL_TRIPS ? spellMs - tripMs : spellMs;
    if (movedMs <= 0) return;
    const moved = this.spellBytes / movedMs;
    // Average time for which the bytes were in flight. The time far exceeds a round trip if the bytes waited for the link.
    const waitMs = this.outSumBytes / this.answers / moved;
    const isFull = waitMs > tripMs * RATE_FULL_TRIPS;
    // If the pipe was not full, include the round trip in the time, because answers that pile up while this process waits for the processor
    // could make the link seem too fast.
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

  /**
   * Called when the measurement is old. The estimated rate stays, because it is still the best guess, but it is too uncertain to send much
   * at once.
   */
  private age(): void {
    this.isMeasured = false;
    this.flightBytes = FLIGHT_FIRST_BYTES;
  }
}
