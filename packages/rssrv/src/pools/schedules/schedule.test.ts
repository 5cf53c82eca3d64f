// Tests schedules of snapshots as people write them: accepted texts and their canonical form, refused texts, and names of snapshots.
// plan.test.ts tests the actions of a schedule.

import fc from 'fast-check';
import { isSnapshotName } from '@rsio/base/lib/units';
import { expect, test } from 'vitest';
import {
  isNameableTime,
  isScheduleText,
  parseSchedule,
  periodEnd,
  periodStart,
  printSchedule,
  scheduleOfOlder,
  scheduledName,
  scheduleText,
  timeOfName,
} from './schedule.ts';

test.each([
  ['hourly keep 24, daily keep 7', 'hourly keep 24, daily keep 7'],
  ['  every   15m keep 8 ,weekly keep 4', 'every 15m keep 8, weekly keep 4'],
  ['every 60m keep 1', 'every 1h keep 1'],
  ['every 1m keep 900', 'every 1m keep 900'],
  ['monthly keep 12, every 672h keep 1,yearly  keep 3', 'monthly keep 12, every 672h keep 1, yearly keep 3'],
  ['yearly keep 3, every 8760h keep 1', 'yearly keep 3, every 8760h keep 1'],
])('%j is accepted as %j', (text, canonical) => {
  expect(scheduleText.parse(text)).toBe(canonical);
  expect(isScheduleText(canonical)).toBe(true);
});

test('none is no schedule', () => {
  expect(scheduleText.parse(' none ')).toBeNull();
  expect(isScheduleText('none')).toBe(false);
});

test.each([
  '',
  'hourly',
  'hourly keep 0',
  'hourly keep -1',
  'hourly keep 901',
  'hourly keep 500, daily keep 500',
  'hourly keep 1, every 60m keep 2',
  'monthly keep 1, monthly keep 2',
  'monthly keep 1, yearly keep 900',
  'every 30s keep 2',
  'every 90s keep 2',
  'every 8785h keep 1',
  'every keep 3',
  'constructor keep 3',
  'hourly keep 1,',
  'hourly keep 1; daily keep 2',
  'none, hourly keep 2',
  `hourly keep 1${' '.repeat(300)}`,
  Array.from({ length: 9 }, (_, index) => `every ${index + 1}m keep 1`).join(', '),
])('%j is refused with what is allowed', (text) => {
  expect(() => scheduleText.parse(text)).toThrow(/Wrong schedule .*: allowed is none, or rules such as "hourly keep 24, daily keep 7"/);
});

test.each([
  ['monthly', '2028-02-29T23:59:59.999Z', '2028-02-01', '2028-03-01'],
  ['monthly', '2027-12-31T23:59:59.999Z', '2027-12-01', '2028-01-01'],
  ['monthly', '1970-01-01T00:00:00.000Z', '1970-01-01', '1970-02-01'],
  ['yearly', '2028-12-31T23:59:59.999Z', '2028-01-01', '2029-01-01'],
])('the %s period of %s begins at %s and ends at %s', (label, time, start, end) => {
  const [rule] = parseSchedule(`${label} keep 1`);
  const timeMs = Date.parse(time);
  expect([periodStart(rule!, timeMs), periodEnd(rule!, timeMs)]).toEqual([Date.parse(start), Date.parse(end)]);
});

test('every time is in one period, and periods of the calendar follow one another and are no shorter than told', () => {
  const rules = parseSchedule('every 7m keep 1, hourly keep 1, daily keep 1, weekly keep 1, monthly keep 1, yearly keep 1');
  fc.assert(
    fc.property(fc.constantFrom(...rules), fc.integer({ min: 0, max: Date.UTC(9999, 0) }), (rule, timeMs) => {
      const [startMs, endMs] = [periodStart(rule, timeMs), periodEnd(rule, timeMs)];
      expect(startMs <= timeMs && timeMs < endMs).toBe(true);
      expect([periodStart(rule, endMs), periodEnd(rule, startMs), periodStart(rule, endMs - 1)]).toEqual([endMs, endMs, startMs]);
      expect(endMs - startMs).toBeGreaterThanOrEqual(rule.periodMs);
    }),
    { numRuns: 5_000 },
  );
});

test('an older release gets the rules that it knows, in their order', () => {
  const texts = ['monthly keep 2, daily keep 7, yearly keep 1, every 15m keep 4', 'yearly keep 1', 'daily keep 7, hourly keep 2'];
  expect(texts.map(scheduleOfOlder)).toEqual(['daily keep 7, every 15m keep 4', null, 'daily keep 7, hourly keep 2']);
});

const rule = fc.record({ minutes: fc.integer({ min: 1, max: 527_040 }), keep: fc.integer({ min: 1, max: 900 }) });

test('what is printed is parsed with the same meaning, and its names tell rule and time', () => {
  fc.assert(
    fc.property(rule, fc.integer({ min: 0, max: Date.UTC(9999, 0) }), ({ minutes, keep }, timeMs) => {
      const rules = parseSchedule(`every ${minutes}m keep ${keep}`);
      expect(parseSchedule(printSchedule(rules))).toEqual(rules);
      const [one] = rules;
      const name = scheduledName(one!, timeMs);
      expect(isSnapshotName(name)).toBe(true);
      expect(timeOfName(one!, name)).toBe(Math.floor(timeMs / 60_000) * 60_000);
      const startMs = periodStart(one!, timeMs);
      expect(startMs <= timeMs && timeMs < startMs + one!.periodMs).toBe(true);
      expect(timeOfName(one!, name)).toBeGreaterThanOrEqual(startMs);
    }),
  );
});

test('names can be sorted, weeks begin on Mondays, and a clock beyond all years makes none', () => {
  const [weekly] = parseSchedule('weekly keep 4');
  const timeMs = Date.UTC(2026, 10, 22, 10, 5, 59);
  expect(scheduledName(weekly!, timeMs)).toBe('weekly-20261122T1005Z');
  expect(new Date(periodStart(weekly!, timeMs)).toISOString()).toBe('2026-11-16T00:00:00.000Z');
  expect(timeOfName(weekly!, 'daily-20261122T1005Z')).toBeNull();
  expect(timeOfName(weekly!, 'weekly-20261122')).toBeNull();
  expect([-1, 0, 8.64e15].map(isNameableTime)).toEqual([false, true, false]);
});
