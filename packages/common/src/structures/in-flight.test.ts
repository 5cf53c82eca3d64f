// Waiting for the end of what is in flight: at once, after the last operation, and by several at a time.
// The owners' tests show that nothing is closed before.

import { expect, test } from 'vitest';
import { InFlight } from './in-flight.ts';

test('resolves when the last operation has ended, for all who wait', async () => {
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
