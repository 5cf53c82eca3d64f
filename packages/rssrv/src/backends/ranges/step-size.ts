// How long a piece of a long DISCARD or ZERO may be: what takes hardly any time is asked for in larger pieces, what takes longer in smaller ones,
// so that pieces stay short whatever the storage is, and a range of terabytes is not a matter of half a million of them. Pure.
// Invariant: between STEP_MIN_BYTES and STEP_MAX_BYTES, whole multiples of the smallest.

import { STEP_FAST_MS, STEP_MAX_BYTES, STEP_MIN_BYTES, STEP_SLOW_MS, ZERO_STEP_BYTES } from './limits.ts';

export class StepSize {
  private sizeBytes = ZERO_STEP_BYTES;

  get bytes(): number {
    return this.sizeBytes;
  }

  /** A piece of this length took that long. */
  took(lengthBytes: number, ms: number): void {
    if (ms > STEP_SLOW_MS) this.sizeBytes = Math.max(STEP_MIN_BYTES, this.sizeBytes / 2);
    // A short rest of a range says nothing of a whole piece.
    else if (ms < STEP_FAST_MS && lengthBytes >= this.sizeBytes) this.sizeBytes = Math.min(STEP_MAX_BYTES, this.sizeBytes * 2);
  }
}
