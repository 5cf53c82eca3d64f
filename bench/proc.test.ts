// Computes CPU time between two hand-made readings. The result is exact where possible, and always includes threads that have ended. Each
// run of the bench shows what this machine reports about its processes.

import { expect, test } from 'vitest';
import { cpuSecondsBetween, privateBytesIn } from './proc.ts';

test('while no thread ends, the exact time counts', () => {
  expect(cpuSecondsBetween({ scheduled: 1, ticked: 1 }, { scheduled: 1.5034, ticked: 1.51 })).toBeCloseTo(0.5034, 9);
});

test('the time of ended threads is not lost', () => {
  expect(cpuSecondsBetween({ scheduled: 5, ticked: 5 }, { scheduled: 1, ticked: 6.2 })).toBeCloseTo(1.2, 9);
});

test('if the kernel does not count exactly, ticks count', () => {
  expect(cpuSecondsBetween({ scheduled: null, ticked: 1 }, { scheduled: null, ticked: 1.25 })).toBeCloseTo(0.25, 9);
});

test('private memory includes clean, dirty and large pages', () => {
  const text = [
    'Rss:               53000 kB',
    'Shared_Dirty:       7000 kB',
    'Private_Clean:       100 kB',
    'Private_Dirty:     20000 kB',
    'Private_Hugetlb:    2048 kB',
    'Anonymous:         19000 kB',
  ].join('\n');
  expect(privateBytesIn(text)).toBe((100 + 20_000 + 2048) * 1024);
  expect(privateBytesIn('')).toBe(0);
});
