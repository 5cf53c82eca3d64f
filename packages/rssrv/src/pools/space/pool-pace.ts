// Computes from samples of the used space of a pool how fast it grows, and when the pool is full at that pace. Pure: pool-paces.ts takes
// and keeps the samples. Invariants: a pace is the median of the slopes between all samples of a window, so that a single import or
// removal, and snapshots that come and go, do not decide it. Too few samples make no pace. The samples of a pool are bounded and in the
// order of their times.

import type { PoolView } from '@rsio/api/views/views';
import { atMost, checked, integer, list, object, type Of } from '@rsio/base/lib/shape';
import { PACE_FAR_MS, PACE_INTERVAL_MS, PACE_MONTH_MS, PACE_PART, PACE_SAMPLES_MAX, PACE_WEEK_MS } from '../limits.ts';

/** `atMs`: time of the server's count of time (pool-paces.ts), which is no time of day. */
const SAMPLE = object({ atMs: integer(), usedBytes: integer() });
export type Sample = Of<typeof SAMPLE>;
export const SAMPLES = checked(atMost(PACE_SAMPLES_MAX, list(SAMPLE)), (samples) =>
  samples.every(({ atMs }, index) => index === 0 || atMs > samples[index - 1]!.atMs) ? null : 'is not in the order of time',
);

type PaceView = NonNullable<PoolView['pace']>;

/** Growth in bytes per day, negative if the pool shrinks; null if it is not known. */
export interface Growth {
  readonly weekBytes: number | null;
  readonly monthBytes: number | null;
}

const DAY_MS = 24 * 60 * 60 * 1_000;

/** Returns true if the newest sample is so old that another one is to be taken. */
export function isDue(samples: readonly Sample[], nowMs: number): boolean {
  const last = samples.at(-1);
  return last === undefined || nowMs - last.atMs >= PACE_INTERVAL_MS;
}

/** Returns the samples without those that are too old or of the future, so that a new one can follow them. */
export function kept(samples: readonly Sample[], nowMs: number): readonly Sample[] {
  return samples.filter(({ atMs }) => atMs <= nowMs && nowMs - atMs <= PACE_MONTH_MS);
}

export function growthOf(samples: readonly Sample[], nowMs: number): Growth {
  const growth = (windowMs: number): number | null =>
    growthWithin(
      samples.filter(({ atMs }) => nowMs - atMs <= windowMs),
      windowMs,
    );
  return { weekBytes: growth(PACE_WEEK_MS), monthBytes: growth(PACE_MONTH_MS) };
}

/** `within`: the samples of the window. Returns null if there are less than 1/PACE_PART of those that a whole window has. */
function growthWithin(within: readonly Sample[], windowMs: number): number | null {
  if (within.length * PACE_INTERVAL_MS * PACE_PART < windowMs) return null;
  const slopes = within.flatMap((from, index) =>
    within.slice(index + 1).map((to) => ((to.usedBytes - from.usedBytes) * DAY_MS) / (to.atMs - from.atMs)),
  );
  return Math.round(median(slopes));
}

function median(values: number[]): number {
  const sorted = Float64Array.from(values).sort();
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** `usableBytes`: what is free now above the reserve; null if it is unknown. A pool that was enlarged is therefore judged by its new size. */
export function paceOf({ weekBytes, monthBytes }: Growth, usableBytes: number | null): PaceView {
  const view = (bytesPerDay: number | null): PaceView['week'] =>
    bytesPerDay === null || usableBytes === null ? null : { bytesPerDay, fullInMs: fullInMs(bytesPerDay, usableBytes) };
  return { week: view(weekBytes), month: view(monthBytes) };
}

function fullInMs(bytesPerDay: number, usableBytes: number): number | null {
  if (bytesPerDay <= 0) return null;
  const inMs = Math.round((usableBytes / bytesPerDay) * DAY_MS);
  return inMs > PACE_FAR_MS ? null : inMs;
}
