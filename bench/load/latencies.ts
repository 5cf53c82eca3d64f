// Counts of request durations from the generator, in steps of about 3 %: 32 steps for each doubling, starting at 32 ns (bucket_of in
// native/load.c). Counts of several clients are added. A quantile is the upper end of a step.

import type { LatencyCounts } from './orders.ts';

const STEPS_PER_DOUBLING = 32;
const LOG2_STEPS = 5;

export function stepEndNs(step: number): number {
  if (step < STEPS_PER_DOUBLING) return step + 1;
  const doubling = Math.floor(step / STEPS_PER_DOUBLING) - 1;
  return (STEPS_PER_DOUBLING + (step % STEPS_PER_DOUBLING) + 1) * 2 ** doubling;
}

/** Returns the step in which the generator counts a time. */
export function stepOf(ns: number): number {
  if (ns < STEPS_PER_DOUBLING) return Math.floor(ns);
  const log = Math.floor(Math.log2(ns));
  return (log - LOG2_STEPS + 1) * STEPS_PER_DOUBLING + (Math.floor(ns / 2 ** (log - LOG2_STEPS)) % STEPS_PER_DOUBLING);
}

export class Latencies {
  private readonly counts = new Map<number, number>();
  private total = 0;

  add(counts: LatencyCounts): void {
    for (const [step, count] of counts) {
      this.counts.set(step, (this.counts.get(step) ?? 0) + count);
      this.total += count;
    }
  }

  /** Upper end, in us, of the first step that, with all lower steps, has at least `share` of all counts; 0: there are no counts. */
  quantileUs(share: number): number {
    let left = share * this.total;
    if (left === 0) return 0;
    const steps = [...this.counts].toSorted(([one], [other]) => one - other);
    for (const [step, count] of steps) {
      left -= count;
      if (left <= 0) return stepEndNs(step) / 1000;
    }
    return stepEndNs(steps.at(-1)?.[0] ?? 0) / 1000;
  }
}
