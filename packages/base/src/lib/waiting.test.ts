// The pause and the limit of a wait: what they settle with, and that no timer is left.

import { expect, test } from 'vitest';
import { FakeClock } from '../testing/fake-clock.ts';
import { sleep, within } from './waiting.ts';

const never = new Promise<never>(() => undefined);

test('a pause ends when its time has passed', async () => {
  const clock = new FakeClock();
  let isOver = false;
  const paused = sleep(clock, 100).then(() => (isOver = true));
  clock.advance(99);
  await Promise.resolve();
  expect(isOver).toBe(false);
  clock.advance(1);
  await paused;
  expect(isOver).toBe(true);
});

test('a wait settles like the work, and leaves no timer', async () => {
  const clock = new FakeClock();
  expect(await within(clock, 100, Promise.resolve(1), () => 'late')).toBe(1);
  await expect(within(clock, 100, Promise.reject(new Error('disk')), () => 'late')).rejects.toThrow('disk');
  expect(clock.timersPending).toBe(0);
});

test('a wait that is too long ends with what `late` returns or throws', async () => {
  const clock = new FakeClock();
  const returned = within(clock, 100, never, () => 'late');
  const thrown = within(clock, 100, never, () => {
    throw new Error('too late');
  });
  clock.advance(100);
  expect(await returned).toBe('late');
  await expect(thrown).rejects.toThrow('too late');
});
