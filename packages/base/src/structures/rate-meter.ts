// Measures the rate of a long piece of work, such as a copy, over the last seconds. Invariant: the number of samples is bounded.

/** RATE_WINDOW_MS: time over which the rate is measured. RATE_SAMPLES: number of samples within this time. */
const RATE_WINDOW_MS = 10_000;
const RATE_SAMPLES = 10;

export class RateMeter {
  private samples: { readonly atMs: number; readonly bytes: number }[] = [];

  /** `bytes`: number of bytes done since the work began. If the number is lower than at the last call, the measurement starts again. */
  add(nowMs: number, bytes: number): void {
    const last = this.samples.at(-1);
    if (last !== undefined && bytes < last.bytes) this.samples = [];
    else if (last !== undefined && nowMs - last.atMs < RATE_WINDOW_MS / RATE_SAMPLES) return;
    this.samples.push({ atMs: nowMs, bytes });
    while (this.samples.length > 1 && nowMs - this.samples[0]!.atMs > RATE_WINDOW_MS) this.samples.shift();
  }

  bytesPerSecond(nowMs: number, bytes: number): number {
    const first = this.samples[0];
    if (first === undefined || nowMs <= first.atMs || bytes < first.bytes) return 0;
    return Math.round(((bytes - first.bytes) * 1_000) / (nowMs - first.atMs));
  }
}
