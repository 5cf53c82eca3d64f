// Tests the pace of a pool over many courses of its used space: constant growth, snapshots that come and go, single imports and removals,
// gaps, and too few samples.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { describe, expect, test } from 'vitest';
import { PACE_FAR_MS, PACE_INTERVAL_MS, PACE_MONTH_MS, PACE_SAMPLES_MAX, PACE_WEEK_MS } from '../limits.ts';
import { growthOf, isDue, kept, paceOf, type Sample } from './pool-pace.ts';

const GIB = 1024 ** 3;
const DAY_MS = 24 * 60 * 60 * 1_000;
const PER_DAY = DAY_MS / PACE_INTERVAL_MS;

/** Returns samples of `days` days. `used`: the used space on a day, which may be a fraction. */
function course(days: number, used: (day: number) => number): Sample[] {
  return Array.from({ length: days * PER_DAY + 1 }, (_, index) => ({
    atMs: index * PACE_INTERVAL_MS,
    usedBytes: Math.round(used(index / PER_DAY)),
  }));
}

const week = (days: number, used: (day: number) => number): number | null => growthOf(course(days, used), days * DAY_MS).weekBytes;
const month = (days: number, used: (day: number) => number): number | null => growthOf(course(days, used), days * DAY_MS).monthBytes;

describe('growth', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'of a pool that grows or shrinks steadily, with noise of seed %i, is what it grows in a day',
    (seed) => {
      const random = new SeededRandom(seed);
      const perDay = (random.unit() - 0.5) * 20 * GIB;
      const noise = Math.abs(perDay) / 10;
      const used = (day: number): number => 500 * GIB + perDay * day + noise * random.unit();
      for (const growth of [week(30, used), month(30, used)]) expect(Math.abs(growth! - perDay)).toBeLessThan(Math.abs(perDay) / 10);
    },
  );

  test('of the last week is another one than that of the month if the pace has changed', () => {
    const used = (day: number): number => GIB * (day < 23 ? day : 23 + (day - 23) * 10);
    expect(week(30, used)).toBe(10 * GIB);
    expect(month(30, used)).toBeLessThan(2 * GIB);
  });

  test.each([0.5, 1, 2])('does not see snapshots that come and go with a period of %d days', (period) => {
    const used = (day: number): number => 100 * GIB + ((day % period) / period) * 20 * GIB;
    expect(Math.abs(week(30, used)!)).toBeLessThan(GIB);
    expect(Math.abs(month(30, used)!)).toBeLessThan(GIB / 4);
    const growing = (day: number): number => used(day) + 3 * GIB * day;
    expect(Math.abs(week(30, growing)! - 3 * GIB)).toBeLessThan(GIB);
    expect(Math.abs(month(30, growing)! - 3 * GIB)).toBeLessThan(GIB / 4);
  });

  test.each([-50 * GIB, 200 * GIB])('does not see a single step of %d bytes a day ago', (step) => {
    const used = (day: number): number => 100 * GIB + 2 * GIB * day + (day > 29 ? step : 0);
    expect(week(30, used)! / GIB).toBeCloseTo(2, 1);
    expect(month(30, used)! / GIB).toBeCloseTo(2, 1);
  });

  test('is not known until there is a quarter of the samples of its window, also with gaps', () => {
    const used = (day: number): number => day * GIB;
    expect([week(0, used), week(1, used), month(7, used), growthOf([], 0)]).toEqual([
      null,
      null,
      null,
      { weekBytes: null, monthBytes: null },
    ]);
    expect([week(2, used), month(8, used)]).toEqual([GIB, GIB]);
    const gap = course(30, used).filter(({ atMs }) => atMs < 1 * DAY_MS || atMs > 25 * DAY_MS);
    expect(growthOf(gap, 30 * DAY_MS)).toEqual({ weekBytes: GIB, monthBytes: null });
    expect(growthOf(course(30, used), 36 * DAY_MS), 'old samples').toEqual({ weekBytes: null, monthBytes: GIB });
  });
});

describe('samples', () => {
  test('are bounded, in order, and taken at intervals, whatever the times are', () => {
    const random = new SeededRandom(9);
    let samples: readonly Sample[] = [];
    for (let nowMs = 0; nowMs < 400 * DAY_MS; nowMs += Math.round((random.unit() - 0.1) * 2 * PACE_INTERVAL_MS)) {
      if (!isDue(samples, nowMs)) continue;
      samples = [...kept(samples, nowMs), { atMs: nowMs, usedBytes: 0 }];
      const steps = samples.slice(1).map(({ atMs }, index) => atMs - samples[index]!.atMs);
      expect(Math.min(PACE_INTERVAL_MS, ...steps)).toBeGreaterThanOrEqual(0);
      expect(samples.length).toBeLessThanOrEqual(PACE_SAMPLES_MAX);
      expect(nowMs - samples[0]!.atMs).toBeLessThanOrEqual(PACE_MONTH_MS);
    }
  });
});

describe('pace', () => {
  test('ends when the space that is free now is used, so that a larger file system is full later', () => {
    const growth = { weekBytes: 2 * GIB, monthBytes: GIB };
    expect(paceOf(growth, 14 * GIB)).toEqual({
      week: { bytesPerDay: 2 * GIB, fullInMs: PACE_WEEK_MS },
      month: { bytesPerDay: GIB, fullInMs: 2 * PACE_WEEK_MS },
    });
    expect(paceOf(growth, 28 * GIB).week?.fullInMs).toBe(2 * PACE_WEEK_MS);
    expect(paceOf(growth, 0).week?.fullInMs).toBe(0);
  });

  test('has no end if the pool does not grow, or hardly, and is not known without growth or free space', () => {
    expect(paceOf({ weekBytes: 0, monthBytes: -GIB }, GIB)).toEqual({
      week: { bytesPerDay: 0, fullInMs: null },
      month: { bytesPerDay: -GIB, fullInMs: null },
    });
    const slow = GIB / (PACE_FAR_MS / DAY_MS);
    expect(paceOf({ weekBytes: slow * 0.99, monthBytes: slow }, GIB)).toMatchObject({
      week: { fullInMs: null },
      month: { fullInMs: PACE_FAR_MS },
    });
    expect(paceOf({ weekBytes: GIB, monthBytes: null }, null)).toEqual({ week: null, month: null });
    expect(paceOf({ weekBytes: null, monthBytes: null }, GIB)).toEqual({ week: null, month: null });
  });
});
