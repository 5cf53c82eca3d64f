// Tests a bucket whose rate changes while callers take amounts. In every window of time, callers take at most the tokens that the bucket
// gains in the window, plus the maximum that the bucket keeps, plus one amount. A caller that always takes what the bucket permits gets the
// whole rate, to within one amount. Rules: G37.

import { expectAtMost } from '../testing/quick-expect.ts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RateBucket } from './rate-bucket.ts';

test('starts empty, gives its rate, and keeps no more than its burst', () => {
  const bucket = new RateBucket(0);
  bucket.set(1_000, 500, 0);
  expect(bucket.hasAny(0)).toBe(false);
  expect(bucket.hasAny(1)).toBe(true);
  expect(bucket.hasAny(60_000)).toBe(true);
  bucket.take(500);
  expect(bucket.hasAny(60_000)).toBe(false);
  bucket.take(100);
  expect(bucket.waitMs(60_000)).toBe(100);
  expect(bucket.waitMs(60_050)).toBe(50);
  bucket.set(0, 500, 60_050);
  expect([bucket.hasAny(90_000), bucket.waitMs(90_000)]).toEqual([false, Number.POSITIVE_INFINITY]);
});

test('keeps what is owed when the rate changes, and loses what a smaller bucket cannot keep', () => {
  const bucket = new RateBucket(0);
  bucket.set(1_000, 1_000, 0);
  bucket.hasAny(1_000);
  bucket.set(10, 1_000, 1_000);
  bucket.take(10);
  expect(bucket.hasAny(1_000)).toBe(false);
  bucket.take(10);
  bucket.set(100, 1_000, 1_000);
  expect(bucket.waitMs(1_000)).toBe(100);
});

test('never gives more than its rates, its burst and one amount', () => {
  const step = fc.record({
    afterMs: fc.integer({ min: 0, max: 400 }),
    amount: fc.integer({ min: 1, max: 300 }),
    rate: fc.option(fc.integer({ min: 0, max: 2_000 })),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 80 }), fc.integer({ min: 100, max: 3_000 }), (steps, burstMs) => {
      const bucket = new RateBucket(0);
      let [nowMs, rate, given, taken, kept] = [0, 500, 0, 0, 0];
      bucket.set(rate, burstMs, 0);
      for (const { afterMs, amount, rate: next } of steps) {
        nowMs += afterMs;
        given += (rate * afterMs) / 1_000;
        kept = Math.max(kept, (rate * burstMs) / 1_000);
        if (next !== null) bucket.set((rate = next), burstMs, nowMs);
        if (!bucket.hasAny(nowMs)) continue;
        bucket.take(amount);
        taken += amount;
        expectAtMost(taken, given + 300 + 1e-6);
      }
      expectAtMost(taken, given + kept + 300);
    }),
    { numRuns: 2_000 },
  );
});

test('a user that takes whenever it may gets the whole rate', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 10, max: 100_000 }),
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 5_000 }),
      (rate, pollMs, amount) => {
        const bucket = new RateBucket(0);
        bucket.set(rate, 1_000, 0);
        let taken = 0;
        for (let nowMs = 0; nowMs <= 20_000; nowMs += pollMs)
          while (bucket.hasAny(nowMs)) {
            bucket.take(amount);
            taken += amount;
          }
        expect(taken).toBeGreaterThanOrEqual((rate * (20_000 - pollMs)) / 1_000);
        expect(taken).toBeLessThanOrEqual((rate * 20_000) / 1_000 + amount);
      },
    ),
    { numRuns: 200 },
  );
});
