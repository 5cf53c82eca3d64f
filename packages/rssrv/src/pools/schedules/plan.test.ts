// Tests the snapshots that a schedule makes and removes, in thousands of random histories: time passes, clocks jump, servers are down,
// snapshots fail, and commands make and remove snapshots.

import { expectAtMost, expectNone, expectSame } from '@rsio/base/testing/quick-expect';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SCHEDULE_EXTRA_MAX } from '../limits.ts';
import { type PlannedSnapshot, planSchedule } from './plan.ts';
import { parseSchedule, periodEnd, periodStart } from './schedule.ts';

const START_MS = Date.UTC(2026, 10, 22, 10, 5);
const RULES = parseSchedule('every 7m keep 3, hourly keep 2, daily keep 2, weekly keep 1, monthly keep 2, yearly keep 1');

type Step =
  | { readonly kind: 'passes'; readonly minutes: number }
  | { readonly kind: 'jump'; readonly hours: number }
  | { readonly kind: 'command'; readonly name: string }
  | { readonly kind: 'removal'; readonly index: number }
  | { readonly kind: 'look'; readonly isWorking: boolean; readonly held: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('passes' as const), minutes: fc.nat(200) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('jump' as const), hours: fc.integer({ min: -9_000, max: 9_000 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('command' as const), name: fc.constantFrom('monday', 'hourly-20261122T1100Z', 'daily-x') }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('removal' as const), index: fc.nat(9) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('look' as const), isWorking: fc.boolean(), held: fc.nat(3) }) },
);

/** Executes plans as the runner does, but without a server. */
class History {
  nowMs = START_MS;
  all: PlannedSnapshot[] = [];
  readonly byHand = new Set<string>();
  private readonly rules: typeof RULES;

  constructor(rules: typeof RULES) {
    this.rules = rules;
  }

  look(isWorking: boolean, held: number): void {
    const plan = planSchedule(this.rules, this.all, this.nowMs);
    expect(plan.nextMs).toBeGreaterThan(this.nowMs);
    for (const rule of this.rules) expectAtMost(plan.nextMs, periodEnd(rule, this.nowMs));
    if (isWorking) for (const { label, name } of plan.due) this.all = [...this.all, { name, schedule: label }];
    expectSame(new Set(this.all.map(({ name }) => name)).size, this.all.length);
    const after = planSchedule(this.rules, this.all, this.nowMs);
    if (isWorking) expectNone(after.due);
    // The oldest snapshots cannot be removed, because clients hold them.
    const kept = new Set(this.all.slice(0, held).map(({ name }) => name));
    const before = this.all;
    this.all = this.all.filter(({ name }) => !after.excess.includes(name) || kept.has(name));
    for (const { label, keep } of this.rules) {
      const own = this.all.filter(({ schedule }) => schedule === label);
      expectAtMost(own.length, keep + Math.min(held, SCHEDULE_EXTRA_MAX));
      const newest = before.filter(({ schedule }) => schedule === label).slice(-keep);
      expect(own).toEqual(expect.arrayContaining(newest));
    }
  }
}

test('a schedule makes one snapshot in each period, keeps the newest, and leaves all others alone', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const history = new History(RULES);
      for (const one of steps) {
        if (one.kind === 'passes') history.nowMs += one.minutes * 60_000;
        if (one.kind === 'jump') history.nowMs = Math.max(0, history.nowMs + one.hours * 3_600_000);
        if (one.kind === 'command' && !history.all.some(({ name }) => name === one.name)) {
          history.all.push({ name: one.name, schedule: null });
          history.byHand.add(one.name);
        }
        if (one.kind === 'removal') history.all = history.all.filter(({ schedule }, index) => index !== one.index || schedule === null);
        if (one.kind === 'look') history.look(one.isWorking, one.held);
        for (const name of history.byHand)
          expectSame(
            history.all.some((each) => each.name === name),
            true,
          );
      }
    }),
    { numRuns: 2_000 },
  );
});

test('while the clock runs evenly, each period has exactly one snapshot, however often the server looks', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 3_000 }), { minLength: 1, maxLength: 100 }), (seconds) => {
      const history = new History(RULES);
      const rules = parseSchedule('every 10m keep 900');
      const seen = new Map<number, number>();
      for (const each of seconds) {
        history.nowMs += each * 1_000;
        const { due } = planSchedule(rules, history.all, history.nowMs);
        for (const { label, name } of due) {
          history.all.push({ name, schedule: label });
          const startMs = periodStart(rules[0]!, history.nowMs);
          seen.set(startMs, (seen.get(startMs) ?? 0) + 1);
        }
      }
      expect([...seen.values()].every((count) => count === 1)).toBe(true);
      expect(seen.has(periodStart(rules[0]!, history.nowMs))).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});

test('a month and a year have one snapshot each over five years, however unevenly the server looks', () => {
  const history = new History(parseSchedule('monthly keep 12, yearly keep 3'));
  for (let day = 0; history.nowMs < START_MS + 5 * 365.25 * 86_400_000; day++) {
    history.nowMs += (1 + (day % 5)) * 36_000_000;
    history.look(true, 0);
  }
  const names = (label: string): string[] => history.all.filter(({ schedule }) => schedule === label).map(({ name }) => name.slice(0, -8));
  const months = Array.from({ length: 12 }, (_, index) => new Date(Date.UTC(2030, 11 + index)).toISOString().slice(0, 7).replace('-', ''));
  expect(names('monthly')).toEqual(months.map((month) => expect.stringMatching(`^monthly-${month}`)));
  expect(names('yearly')).toEqual(['2029', '2030', '2031'].map((year) => expect.stringMatching(`^yearly-${year}`)));
});

test('a rule that is added or dropped removes no snapshot that would have stayed, and the newest always stays', () => {
  const label = fc.option(fc.constantFrom(...RULES.map((rule) => rule.label)), { nil: null });
  fc.assert(
    fc.property(fc.array(label, { maxLength: 40 }), fc.subarray([...RULES]), fc.nat(9e8), (labels, rules, seconds) => {
      const nowMs = START_MS + seconds * 1_000;
      const all = labels.map((schedule, index) => ({ name: `${schedule ?? 'by-hand'}-${index}`, schedule }));
      const kept = (some: typeof RULES): Set<string> => {
        const excess = planSchedule(some, all, nowMs).excess;
        return new Set(all.map(({ name }) => name).filter((name) => !excess.includes(name)));
      };
      const [few, many] = [kept(rules), kept(RULES)];
      for (const { name, schedule } of all) {
        const isRuled = rules.some((rule) => rule.label === schedule);
        expectSame(few.has(name), isRuled ? many.has(name) : true);
      }
      const newest = all.findLast(({ schedule }) => schedule !== null);
      if (newest !== undefined) expectSame(many.has(newest.name), true);
      expectAtMost(
        [...many].filter((name) => !name.startsWith('by-hand')).length,
        RULES.reduce((sum, { keep }) => sum + keep, 0),
      );
    }),
    { numRuns: 2_000 },
  );
});

const HOURLY = parseSchedule('hourly keep 2');

function names(count: number, schedule: string | null = 'hourly'): PlannedSnapshot[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `hourly-2025112${index % 10}T0${index % 10}0${Math.floor(index / 10)}Z`,
    schedule,
  }));
}

test('a server that was down for a week makes up for one period', () => {
  const { due, excess, nextMs } = planSchedule(HOURLY, names(2), START_MS);
  expect(due).toEqual([{ label: 'hourly', name: 'hourly-20261122T1005Z' }]);
  expect(excess).toEqual([]);
  expect(new Date(nextMs).toISOString()).toBe('2026-11-22T11:00:00.000Z');
});

test('after a jump to next year and back, the periods of this year are made again, and those of next year are removed in their turn', () => {
  const all = [
    { name: 'hourly-20261122T1000Z', schedule: 'hourly' },
    { name: 'hourly-20271122T1000Z', schedule: 'hourly' },
  ];
  const { due } = planSchedule(HOURLY, all, START_MS + 3_600_000);
  expect(due).toEqual([{ label: 'hourly', name: 'hourly-20261122T1105Z' }]);
  const later = [...all, ...due.map(({ name, label }) => ({ name, schedule: label }))];
  expect(planSchedule(HOURLY, later, START_MS + 3_600_000).excess).toEqual(['hourly-20261122T1000Z']);
});

// Regression: after the clock was set back, snapshots with names of later hours counted, and no snapshot was made until the clock reached
// these hours.
test('after the clock is set back, each period is made again at once, under names that are free', () => {
  const rules = parseSchedule('hourly keep 24');
  const made = (all: PlannedSnapshot[], nowMs: number): string | undefined => {
    const [due] = planSchedule(rules, all, nowMs).due;
    if (due !== undefined) all.push({ name: due.name, schedule: due.label });
    return due?.name;
  };
  const [all, hourMs] = [[] as PlannedSnapshot[], 3_600_000];
  for (let hour = 0; hour <= 4; hour++) made(all, START_MS + hour * hourMs);
  const again = [0, 1, 2, 3, 4, 5, 6].map((hour) => [made(all, START_MS + hour * hourMs), made(all, START_MS + hour * hourMs + 1_000)]);
  const hours = ['T1006Z', 'T1106Z', 'T1206Z', 'T1306Z', 'T1406Z', 'T1505Z', 'T1605Z'];
  expect(again).toEqual(hours.map((hour) => [`hourly-20261122${hour}`, undefined]));
  expect(planSchedule(rules, all, START_MS + 6 * hourMs).excess).toEqual([]);
});

test('a period of a minute whose name is taken makes nothing, and the next one is made', () => {
  const rules = parseSchedule('every 1m keep 2');
  const all = ['T1005Z', 'T1006Z', 'T1007Z'].map((time) => ({ name: `every-1m-20261122${time}`, schedule: 'every-1m' }));
  expect(planSchedule(rules, all, START_MS).due).toEqual([]);
  expect(planSchedule(rules, all, START_MS + 180_000).due).toEqual([{ label: 'every-1m', name: 'every-1m-20261122T1008Z' }]);
});

test('snapshots that cannot be removed do not pile up', () => {
  const many = names(2 + SCHEDULE_EXTRA_MAX);
  expect(planSchedule(HOURLY, many, START_MS)).toMatchObject({
    due: [],
    stuck: 'hourly',
    excess: many.slice(0, -2).map(({ name }) => name),
  });
  expect(planSchedule(HOURLY, many.slice(1), START_MS)).toMatchObject({ stuck: null, due: [{ label: 'hourly' }] });
});

test('snapshots made by commands are neither counted nor removed, but their names are taken', () => {
  expect(planSchedule(HOURLY, names(50, null), START_MS)).toMatchObject({ excess: [], due: [{ label: 'hourly' }] });
  expect(planSchedule(HOURLY, [{ name: 'hourly-20261122T1030Z', schedule: null }], START_MS).due).toEqual([]);
});
