// Processor time between two looks, by hand-made ones: exact where it can be, and never without the threads that have ended.
// What this machine says of its processes is seen by every run.

import { expect, test } from 'vitest';
import { cpuSecondsBetween } from './proc.ts';

test('while no thread ends the exact time counts', () => {
  expect(cpuSecondsBetween({ scheduled: 1, ticked: 1 }, { scheduled: 1.5034, ticked: 1.51 })).toBeCloseTo(0.5034, 9);
});

test('the time of threads that have ended is not lost', () => {
  expect(cpuSecondsBetween({ scheduled: 5, ticked: 5 }, { scheduled: 1, ticked: 6.2 })).toBeCloseTo(1.2, 9);
});

test('where the kernel does not count exactly, ticks count', () => {
  expect(cpuSecondsBetween({ scheduled: null, ticked: 1 }, { scheduled: null, ticked: 1.25 })).toBeCloseTo(0.25, 9);
});
