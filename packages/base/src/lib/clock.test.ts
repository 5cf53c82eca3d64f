// Tests the system clock, on which every deadline of the product relies. Invariant: a timer never fires before its time, however long or
// short its delay is, and never fires after it was cancelled.

import { spawnSync } from 'node:child_process';
import { expect, test, vi } from 'vitest';
import { useProgram } from '../testing/program-file.ts';
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

const clockModule = useProgram(new URL('./clock.ts', import.meta.url));

// A pump that runs after a failed assertion could send from a state that the assertion refuses.
test.each(['strict', 'warn'])('a callback that throws ends the process, and no other callback runs: %s', (rejections) => {
  const code = `
    const { systemClock } = await import(${JSON.stringify(clockModule())});
    systemClock.soon(() => { systemClock.soon(() => process.stdout.write('later')); throw new Error('fell over'); });
    systemClock.soon(() => process.stdout.write('other'));
    setTimeout(() => process.exit(0), 10_000);`;
  const options = ['--input-type=module', `--unhandled-rejections=${rejections}`, '-e', code];
  const { status, stdout, stderr } = spawnSync(process.execPath, options, { encoding: 'utf8' });
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr).toContain('fell over');
});

test('callbacks run in order, after the current code, also those that a callback adds', async () => {
  const seen: number[] = [];
  systemClock.soon(() => {
    seen.push(1);
    systemClock.soon(() => seen.push(3));
  });
  systemClock.soon(() => seen.push(2));
  expect(seen).toEqual([]);
  await new Promise(setImmediate);
  expect(seen).toEqual([1, 2, 3]);
});
