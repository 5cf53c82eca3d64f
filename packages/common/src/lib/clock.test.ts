// Tests the system clock, on which every deadline of the product relies. Invariant: a timer never fires before its time, however long or
// short its delay is, and never fires after it was cancelled.

import { expect, test, vi } from 'vitest';
import { systemClock } from './clock.ts';

test('no timer fires early', async () => {
  const early: number[] = [];
  const timers = Array.from({ length: 400 }, async (_, index) => {
    const delayMs = 1 + index / 13;
    const dueMs = systemClock.monotonicMs() + delayMs;
    await new Promise<void>((resolve) => systemClock.after(delayMs, resolve));
    const byMs = dueMs - systemClock.monotonicMs();
    if (byMs > 0) early.push(byMs);
  });
  await Promise.all(timers);
  expect(early).toEqual([]);
});

test('a delay of more than 24 days, which the timers of Node do not have, does not end at once', async () => {
  const fire = vi.fn();
  const timer = systemClock.after(2 ** 31, fire);
  await new Promise<void>((resolve) => systemClock.after(20, resolve));
  expect(fire).not.toHaveBeenCalled();
  timer.cancel();
});

test('a cancelled timer does not fire, also after it has looked at the time', async () => {
  const fire = vi.fn();
  const timers = Array.from({ length: 50 }, (_, index) => systemClock.after(5 + index / 7, fire));
  for (const timer of timers) timer.cancel();
  await new Promise<void>((resolve) => systemClock.after(20, resolve));
  expect(fire).not.toHaveBeenCalled();
});
