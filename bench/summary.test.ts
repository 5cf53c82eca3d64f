// Tests medians, ratios and goals with hand-made rounds. No real round is used: a test that depends on the speed of the machine would prove
// nothing.

import { expect, test } from 'vitest';
import { FIGURE_GOALS, type Goal, judge, judgeFigures } from './goals.ts';
import type { Measured } from './load/orders.ts';
import { figuresOf, leastOf, once, pairsRatio, perCore, perRequestUs, ratioOf, roundsRatio, spreadOf, worstOf } from './summary.ts';
import { row } from './workload.ts';

function measured(iops: number, serverCores: number, p50Us = 10): Measured {
  const times = { p50Us, p99Us: 2 * p50Us, p999Us: 3 * p50Us };
  return { windowMs: 1000, iops, bytesPerSecond: iops * 8192, serverCores, generatorCores: 0.5, otherCores: 0, ...times };
}

test('the median is the middle value, or lies between the two middle values', () => {
  expect(spreadOf([30, 10, 20])).toEqual({ median: 20, min: 10, max: 30 });
  expect(spreadOf([40, 10, 20, 30])).toEqual({ median: 25, min: 10, max: 40 });
});

test('numbers are ordered by size, not by text', () => {
  expect(spreadOf([9, 100, 20]).median).toBe(20);
});

test('IOPS per server core use the time that the server really used', () => {
  expect(figuresOf('rssrv', 'rssrv', [measured(90_000, 0.5)]).iopsPerServerCore.median).toBe(180_000);
});

const OURS = figuresOf('rssrv', 'rssrv', [measured(100, 1, 30), measured(300, 1, 30), measured(200, 1, 30)]);
const THEIRS = figuresOf('nbdkit', 'nbdkit file', [measured(50, 1, 20), measured(100, 0.5, 40), measured(80, 0.5, 25)]);

test('the ratio is that of the medians; its bounds come from rounds that ran one after the other', () => {
  expect(ratioOf(OURS, THEIRS, ({ iops }) => iops)).toEqual({ median: 2.5, min: 2, max: 3 });
  expect(ratioOf(OURS, THEIRS, perCore)).toEqual({ median: 1.25, min: 1.25, max: 2 });
});

const ROW = row('read', 8192, 128);
const MORE: Goal = { row: ROW.name, what: 'IOPS', peer: 'nbdkit', value: ({ iops }) => iops, ratio: 2.5, isLessBetter: false };
const LESS: Goal = { ...MORE, what: 'p50', value: ({ p50Us }) => p50Us, ratio: 1.2, isLessBetter: true };

test('a goal is met by the named ratio or a better one; for latencies, by a lower one', () => {
  const judged = (goal: Goal): boolean | null => judge([goal], [{ row: ROW, servers: [OURS, THEIRS] }])[0]?.isMet ?? null;
  expect([judged(MORE), judged({ ...MORE, ratio: 2.6 })]).toEqual([true, false]);
  expect([judged(LESS), judged({ ...LESS, ratio: 1.19 })]).toEqual([true, false]);
});

test('a goal whose row or peer was not measured is neither met nor missed', () => {
  expect(judge([MORE], [{ row: ROW, servers: [OURS] }])[0]).toMatchObject({ measured: null, isMet: null });
  expect(judge([{ ...MORE, row: 'other' }], [{ row: ROW, servers: [OURS, THEIRS] }])[0]).toMatchObject({ measured: null, isMet: null });
});

test('single goals are met up to their bound and not beyond, whichever side is better', () => {
  const met = (figures: Parameters<typeof judgeFigures>[1]): (boolean | null)[] =>
    judgeFigures(new Set(['clients', 'unshaped']), figures).map(({ isMet }) => isMet);
  expect(met({ nbdReads: once(1.5), nbdWrites: once(1.49), ownMemory: once(12), sharedMemory: once(1.1) })).toEqual([
    true,
    false,
    true,
    false,
  ]);
  expect(met({ nbdReads: once(2) })).toEqual([true, null, null, null]);
});

test('goals of sections that were not measured are not judged', () => {
  const sections = new Set(Object.values(FIGURE_GOALS).map(({ section }) => section));
  expect(judgeFigures(sections, {})).toHaveLength(Object.keys(FIGURE_GOALS).length);
  expect(judgeFigures(new Set(), { restart: once(3) })).toEqual([]);
});

test('of several figures with one bound the worst counts', () => {
  expect(leastOf([once(0.99), once(0.97), once(1)])).toEqual(once(0.97));
  expect(worstOf([once(0.02), once(0.07), once(0.05)])).toEqual(once(0.07));
});

test('rounds are divided one by one, and then the median is taken', () => {
  expect(roundsRatio([10, 30, 20], [20, 20, 20])).toEqual({ median: 1, min: 0.5, max: 1.5 });
});

test('many pairs show a difference that is smaller than the changes of speed', () => {
  // The machine becomes twice as fast during the rounds, and every tenth round is disturbed.
  const theirs = Array.from({ length: 80 }, (_, index) => 100 + (index * 100) / 79);
  const ours = theirs.map((one, index) => one * (index % 10 === 0 ? 0.5 : 0.97 + (index % 3) * 0.01));
  const { median, min, max } = pairsRatio(ours, theirs);
  expect(median).toBeCloseTo(0.98);
  expect(min).toBeCloseTo(0.97);
  expect(max).toBeLessThanOrEqual(0.99);
  expect(pairsRatio([3], [2])).toEqual({ median: 1.5, min: 1.5, max: 1.5 });
});

test('the cost of a request uses the time that the server really used', () => {
  expect(perRequestUs(measured(100_000, 0.5))).toBe(5);
  expect(perRequestUs(measured(0, 0.5))).toBe(0);
});
