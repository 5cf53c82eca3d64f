// Tests the timer that several callers share. Invariant: the timer fires at the earliest requested time, once for all requests that were
// made before it fires.

import { expect, test } from 'vitest';
import { FakeClock } from '../testing/fake-clock.ts';
import { EarliestTimer } from './earliest-timer.ts';

test('it fires at the earliest time, and again only if asked again', () => {
  const clock = new FakeClock();
  const fired: number[] = [];
  const timer = new EarliestTimer(clock, () => fired.push(clock.monotonicMs()));
  timer.at(300);
  timer.at(100);
  timer.at(200);
  timer.at(Number.POSITIVE_INFINITY);
  clock.advance(1_000);
  expect(fired).toEqual([100]);
  timer.at(500);
  clock.advance(0);
  expect(fired).toEqual([100, 1_000]);
  timer.at(2_000);
  timer.cancel();
  clock.advance(5_000);
  timer.at(7_000);
  clock.advance(5_000);
  expect(fired).toEqual([100, 1_000, 7_000]);
});
