// Medians and ratios by hand-made rounds. What the rounds measured is not looked at here: a test that depends on the speed of the
// machine would say nothing.

import { expect, test } from 'vitest';
import type { Measured } from './load/orders.ts';
import { compare, figuresOf, spreadOf } from './summary.ts';
import { QUICK_PLAN } from './workload.ts';

function measured(iops: number, serverCores: number): Measured {
  return { windowMs: 1000, iops, serverCores, generatorCores: 0.5, otherCores: 0 };
}

test('the median is the middle value, or lies between the two', () => {
  expect(spreadOf([30, 10, 20])).toEqual({ median: 20, min: 10, max: 30 });
  expect(spreadOf([40, 10, 20, 30])).toEqual({ median: 25, min: 10, max: 40 });
});

test('the order of numbers is that of their size, not of their text', () => {
  expect(spreadOf([9, 100, 20]).median).toBe(20);
});

test('IOPS per server core are those of the time the server really used', () => {
  expect(figuresOf('rssrv', [measured(90_000, 0.5)]).iopsPerServerCore.median).toBe(180_000);
});

test('the ratio is that of the medians, its bounds are those of rounds that ran one after the other', () => {
  const ours = figuresOf('rssrv', [measured(100, 1), measured(300, 1), measured(200, 1)]);
  const theirs = figuresOf('nbdkit file', [measured(50, 1), measured(100, 0.5), measured(80, 0.5)]);
  const [workload] = QUICK_PLAN.workloads;
  const { iopsRatio, perCoreRatio } = compare(workload!, ours, theirs);
  expect(iopsRatio).toEqual({ median: 2.5, min: 2, max: 3 });
  expect(perCoreRatio).toEqual({ median: 1.25, min: 1.25, max: 2 });
});
