// Tests the rate of long work: that of the last seconds, also after the work begins again, and falling while nothing comes.

import { expect, test } from 'vitest';
import { RateMeter } from './rate-meter.ts';

test('the reported rate is that of the last seconds', () => {
  const meter = new RateMeter();
  for (let second = 0; second <= 60; second++) meter.add(second * 1_000, second < 50 ? second * 100 : 5_000 + (second - 50) * 1_000);
  expect(meter.bytesPerSecond(60_000, 15_000)).toBe(1_000);
  meter.add(61_000, 0);
  expect(meter.bytesPerSecond(62_000, 500)).toBe(500);
});

test('the rate falls while nothing is done', () => {
  const meter = new RateMeter();
  meter.add(0, 0);
  meter.add(1_000, 1_000);
  expect([2_000, 10_000].map((nowMs) => meter.bytesPerSecond(nowMs, 1_000))).toEqual([500, 100]);
});
