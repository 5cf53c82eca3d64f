// Compares the token bucket with a bucket that counts its tokens:
// the number of tokens, the wait for the next token, and debt.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TokenBucket } from './token-bucket.ts';

const SIZE = { atOnce: 4, eachMs: 250 };

test('holds a bounded number of tokens, and regains one in each interval', () => {
  const bucket = new TokenBucket(SIZE);
  expect([bucket.tokens(0), bucket.level(0), bucket.waitMs(0)]).toEqual([4, 1, 0]);
  for (let taken = 0; taken < 4; taken++) bucket.take(0);
  expect([bucket.tokens(0), bucket.level(0), bucket.waitMs(0)]).toEqual([0, 0, 250]);
  expect([bucket.tokens(125), bucket.level(125), bucket.waitMs(125)]).toEqual([0.5, 0, 125]);
  expect([bucket.tokens(250), bucket.level(250), bucket.waitMs(250)]).toEqual([1, 0.25, 0]);
  expect(bucket.tokens(1_000_000)).toBe(4);
});

test('owes the tokens that were taken beyond its content', () => {
  const bucket = new TokenBucket(SIZE);
  for (let taken = 0; taken < 6; taken++) bucket.take(0);
  expect([bucket.tokens(0), bucket.waitMs(0), bucket.waitMs(750)]).toEqual([-2, 750, 0]);
});

test('agrees with a bucket that counts its tokens', () => {
  const step = fc.record({ afterMs: fc.integer({ min: 0, max: 2000 }), isTaken: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const bucket = new TokenBucket(SIZE);
      let [nowMs, tokens] = [0, SIZE.atOnce];
      for (const { afterMs, isTaken } of steps) {
        nowMs += afterMs;
        tokens = Math.min(SIZE.atOnce, tokens + afterMs / SIZE.eachMs);
        if (isTaken) bucket.take(nowMs);
        if (isTaken) tokens--;
        expect(bucket.tokens(nowMs)).toBeCloseTo(tokens, 6);
      }
    }),
  );
});
