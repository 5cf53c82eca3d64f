// Measures the rate of a resync over the last seconds. From this rate, returning.ts estimates the remaining time.
// Invariant: the number of samples is bounded.

import { PROGRESS_SAMPLES, PROGRESS_WINDOW_MS } from '../limits.ts';

export class ProgressMeter {
  private samples: { readonly atMs: number; readonly bytes: number }[] = [];

  /** `bytes`: number of bytes copied since the resync began. If the number is lower than at the last call, the measurement starts again. */
  add(nowMs: number, bytes: number): void {
    const last = this.samples.at(-1);
    if (last !== undefined && bytes < last.bytes) this.samples = [];
    else if (last !== undefined && nowMs - last.atMs < PROGRESS_WINDOW_MS / PROGRESS_SAMPLES) return;
    this.samples.push({ atMs: nowMs, bytes });
    while (this.samples.length > 1 && nowMs - this.samples[0]!.atMs > PROGRESS_WINDOW_MS) this.samples.shift();
  }

  bytesPerSecond(nowMs: number, bytes: number): number {
    const first = this.samples[0];
    if (first === undefined || nowMs <= first.atMs || bytes < first.bytes) return 0;
    return Math.round(((bytes - first.bytes) * 1_000) / (nowMs - first.atMs));
  }
}
