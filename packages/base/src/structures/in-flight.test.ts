// Tests waiting for the end of operations in flight:
// with no operation, with several operations, and with several waiters.

import { expect, test } from 'vitest';
import { AssertionError } from '../lib/assert.ts';
import { InFlight } from './in-flight.ts';

test('resolves for all waiters when the last operation has ended', async () => {
  const inFlight = new InFlight();
  await inFlight.whenIdle();
  inFlight.begin();
  inFlight.begin();
  const seen: string[] = [];
  const waits = ['one', 'other'].map((name) => inFlight.whenIdle().then(() => seen.push(name)));
  inFlight.end();
  await Promise.resolve();
  expect([inFlight.count, seen]).toEqual([1, []]);
  inFlight.end();
  await Promise.all(waits);
  expect([inFlight.count, seen]).toEqual([0, ['one', 'other']]);
});

test('an operation that ends twice is a mistake of its owner', () => {
  const inFlight = new InFlight();
  inFlight.begin();
  inFlight.end();
  expect(() => inFlight.end()).toThrow(AssertionError);
});
