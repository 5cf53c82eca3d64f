// Simulated time: order, "soon", and the effects of stopping or killing a process.
// Seeds test the rest of the world.

import { expect, test } from 'vitest';
import { SimClock, SimProcess } from './sim-clock.ts';

function runAll(clock: SimClock): void {
  while (clock.step());
}

test('timers fire in order of their time, then of their creation, after everything due "soon"', () => {
  const clock = new SimClock();
  const said: string[] = [];
  for (const [delayMs, name] of [
    [5, 'c'],
    [1, 'a'],
    [5, 'd'],
    [3, 'b'],
  ] as const) {
    clock.after(delayMs, () => {
      said.push(`${name} at ${clock.monotonicMs()}`);
      clock.soon(() => said.push(`after ${name}`));
    });
  }
  clock.after(2, () => said.push('never')).cancel();
  runAll(clock);
  expect(said).toEqual(['a at 1', 'after a', 'b at 3', 'after b', 'c at 5', 'after c', 'd at 5', 'after d']);
});

test('what falls due while a process is stopped runs all at once afterwards, in order', () => {
  const clock = new SimClock();
  const process = new SimProcess(clock);
  const said: string[] = [];
  for (const delayMs of [1, 2, 3]) process.after(delayMs, () => said.push(`${delayMs} at ${clock.monotonicMs()}`));
  process.after(2, () => said.push('never')).cancel();
  clock.after(0, () => process.pause());
  clock.after(10, () => process.resume());
  process.after(20, () => said.push(`20 at ${clock.monotonicMs()}`));
  runAll(clock);
  expect(said).toEqual(['1 at 10', '2 at 10', '3 at 10', '20 at 20']);
  expect(process.timersPending).toBe(0);
});

test('nothing of a killed process runs, including "soon" calls and timers missed while it was stopped', () => {
  const clock = new SimClock();
  const process = new SimProcess(clock);
  const said: string[] = [];
  process.after(1, () => {
    process.soon(() => said.push('soon'));
    process.kill();
  });
  const other = new SimProcess(clock);
  other.pause();
  other.after(1, () => said.push('late'));
  clock.after(2, () => other.kill());
  clock.after(3, () => other.resume());
  process.after(4, () => said.push('timer'));
  runAll(clock);
  expect(said).toEqual([]);
});

test('a repeating timer goes behind earlier requests each time, until it ends itself', () => {
  const clock = new SimClock();
  const said: string[] = [];
  clock.after(2, () => said.push(`other at ${clock.monotonicMs()}`));
  clock.repeat(1, () => {
    said.push(`again at ${clock.monotonicMs()}`);
    return clock.monotonicMs() < 3 ? 1 : null;
  });
  runAll(clock);
  expect(said).toEqual(['again at 1', 'other at 2', 'again at 2', 'again at 3']);
  expect(clock.events).toBe(4);
});
