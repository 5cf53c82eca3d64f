// Tests which entries wait for which other entries, for arbitrary ranges in any order, and that every entry finally proceeds.
// partial-blocks.test.ts tests the requests that use the lock.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RangeEntry, RangeLock } from './range-lock.ts';

function entry(beginBytes: number, endBytes: number, isExclusive = false): RangeEntry {
  return Object.assign(new RangeEntry(), { beginBytes, endBytes, isExclusive });
}

test('an exclusive range waits for overlapping ones, and later overlapping ones wait for it, also behind a waiting one', () => {
  const lock = new RangeLock();
  const [plain, exclusive, later, behind, elsewhere] = [entry(0, 8), entry(4, 12, true), entry(8, 16), entry(14, 20), entry(20, 24)];
  expect([plain, exclusive, later, behind, elsewhere].map((one) => lock.enter(one))).toEqual([true, false, false, false, true]);
  expect(lock.leave(plain)).toEqual([exclusive]);
  expect(lock.leave(exclusive)).toEqual([later, behind]);
});

test('shared ranges pass each other', () => {
  const lock = new RangeLock();
  expect([entry(0, 8), entry(0, 8), entry(4, 6)].map((one) => lock.enter(one))).toEqual([true, true, true]);
});

test('a waiting range can be withdrawn, and blocks no other', () => {
  const lock = new RangeLock();
  const [out, exclusive, later] = [entry(0, 8), entry(0, 8, true), entry(0, 8)];
  for (const one of [out, exclusive, later]) lock.enter(one);
  expect(lock.takeWaiting()).toEqual([exclusive, later]);
  expect(lock.enter(later)).toBe(true);
});

test('no two overlapping ranges are held if one is exclusive, none is overtaken, and none is forgotten', () => {
  const ranges = fc.record({ begin: fc.nat(20), length: fc.integer({ min: 1, max: 8 }), isExclusive: fc.boolean(), leaves: fc.nat(5) });
  fc.assert(
    fc.property(fc.array(ranges, { maxLength: 40 }), (steps) => {
      const lock = new RangeLock();
      const out: { at: number; one: RangeEntry }[] = [];
      const waiting: { at: number; one: RangeEntry }[] = [];
      const overlaps = (a: RangeEntry, b: RangeEntry): boolean => a.beginBytes < b.endBytes && b.beginBytes < a.endBytes;
      const meets = (a: RangeEntry, b: RangeEntry): boolean => overlaps(a, b) && (a.isExclusive || b.isExclusive);
      const goes = (at: number, one: RangeEntry): void => {
        expect(out.some((other) => meets(other.one, one))).toBe(false);
        expect(waiting.some((other) => other.at < at && overlaps(other.one, one))).toBe(false);
        out.push({ at, one });
      };
      const leave = (index: number): void => {
        const [left] = out.splice(index % out.length, 1);
        for (const one of lock.leave(left!.one)) {
          const at = waiting.findIndex((other) => other.one === one);
          const [free] = waiting.splice(at, 1);
          goes(free!.at, one);
        }
      };
      for (const [at, { begin, length, isExclusive, leaves }] of steps.entries()) {
        const one = entry(begin, begin + length, isExclusive);
        if (lock.enter(one)) goes(at, one);
        else waiting.push({ at, one });
        if (leaves > 2 && out.length > 0) leave(leaves);
      }
      while (out.length > 0) leave(0);
      expect(waiting).toEqual([]);
    }),
  );
});

// The time-out of the test checks the speed: the test timed out when each call of `leave` made every waiting range check all earlier
// ranges.
test('thousands of ranges that wait for a large one do not slow down others', () => {
  const lock = new RangeLock();
  const [many, some] = [8192, 1024];
  const elsewhere = Array.from({ length: some }, () => entry(many, many + 1));
  const large = entry(0, many, true);
  const waiting = Array.from({ length: many }, (_, at) => entry(at, at + 1));
  expect([...elsewhere, large].every((one) => lock.enter(one))).toBe(true);
  expect(waiting.some((one) => lock.enter(one))).toBe(false);
  expect(elsewhere.every((one) => lock.leave(one).length === 0)).toBe(true);
  expect(lock.leave(large)).toEqual(waiting);
});
