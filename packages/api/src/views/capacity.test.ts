// Tests the texts about when a pool is full, and the room for new volumes under a limit and under overcommit.

import { expect, test } from 'vitest';
import { pool } from '../testing/server-views.ts';
import { fullDay, fullInMs, fullInText, isFullSoon, roomBytes } from './capacity.ts';

const GIB = 1024 ** 3;
const DAY_MS = 24 * 60 * 60 * 1_000;
const NOW_MS = Date.UTC(2026, 10, 30, 12);
const paced = (week: number | null, month: number | null) => {
  const pace = (days: number | null) => ({ bytesPerDay: GIB, fullInMs: days === null ? null : days * DAY_MS });
  return pool({ pace: { week: pace(week), month: pace(month) } });
};

test.each([
  [12, 40, '2026_12_12', 'in 12 days', false],
  [40, 12, '2026_12_12', 'in 12 days', false],
  [null, 1.9, '2026_12_02', 'in 1 day', false],
  [6.9, null, '2026_12_07', 'in 6 days', true],
  [7, null, '2026_12_07', 'in 7 days', false],
  [0, 0, '2026_11_30', 'in less than a day', true],
  [null, null, '-', null, false],
  // Another machine may tell any number.
  [1e12, 1e300, '-', null, false],
])('a pool that is full in %d days at the pace of 7 days, and in %d at that of 30', (week, month, day, text, isSoon) => {
  const of = paced(week, month);
  expect([fullDay(of, NOW_MS), fullInText(of), isFullSoon(of)]).toEqual([day, text, isSoon]);
});

test('a pool of an earlier release, and one whose pace is not known, say nothing', () => {
  for (const of of [pool(), pool({ pace: { week: null, month: null } })])
    expect([fullInMs(of), fullDay(of, NOW_MS), fullInText(of), isFullSoon(of)]).toEqual([{ week: null, month: null }, '-', null, false]);
});

test('the room is what is free, what the limit leaves, or what overcommit leaves', () => {
  const of = { totalBytes: 100 * GIB, usableBytes: 55 * GIB, reserve: 0.05, promisedBytes: 60 * GIB };
  expect(roomBytes(pool(of))).toBe(55 * GIB);
  expect(roomBytes(pool({ ...of, limitBytes: 70 * GIB }))).toBe(10 * GIB);
  expect(roomBytes(pool({ ...of, overcommit: 'refuse' }))).toBe(35 * GIB);
  expect(roomBytes(pool({ ...of, overcommit: 'refuse', totalBytes: null }))).toBe(-60 * GIB);
  expect(roomBytes(pool({ ...of, usableBytes: null }))).toBe(0);
});
