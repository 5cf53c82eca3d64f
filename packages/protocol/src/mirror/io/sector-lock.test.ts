// Compares the lock with a naive model. The model derives the held entries from the list of all entries in order of arrival. The comparison
// shows that no entry waits without a reason, and that no entry overtakes an earlier conflicting entry. Rules: M9, M14.

import { AssertionError } from '@rsio/base/lib/assert';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LockEntry, SectorLock } from './sector-lock.ts';

function conflict(one: LockEntry, other: LockEntry): boolean {
  return (one.isExclusive || other.isExclusive) && one.begin < other.end && other.begin < one.end;
}

function heldOf(present: readonly LockEntry[]): Set<LockEntry> {
  return new Set(present.filter((one, index) => !present.slice(0, index).some((earlier) => conflict(earlier, one))));
}

const entry = fc.record({ begin: fc.nat(20), length: fc.integer({ min: 1, max: 8 }), isExclusive: fc.boolean() });
const step = fc.oneof(
  { weight: 3, arbitrary: entry },
  { weight: 2, arbitrary: fc.record({ leave: fc.nat(1000), anyEntry: fc.boolean() }) },
);

test('what is held matches the naive model after each step, and entries that leave from within a grant do no harm', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.boolean(), (steps, leavesWithin) => {
      const held = new Set<LockEntry>();
      const present: LockEntry[] = [];
      let grants = 0;
      const leave = (one: LockEntry): void => {
        held.delete(one);
        present.splice(present.indexOf(one), 1);
        lock.leave(one);
      };
      const lock = new SectorLock((one) => {
        held.add(one);
        if (leavesWithin && ++grants % 3 === 0) leave(one);
      });
      for (const next of steps) {
        if ('begin' in next) {
          const made = new LockEntry();
          made.begin = next.begin;
          made.end = next.begin + next.length;
          made.isExclusive = next.isExclusive;
          present.push(made);
          if (lock.enter(made)) held.add(made);
        } else if (present.length > 0) {
          const from = next.anyEntry ? present : [...held];
          leave(from[next.leave % from.length]!);
        }
        expect(held).toEqual(heldOf(present));
        for (const one of present) expect(one.lock).toBe(held.has(one) ? 'held' : 'waiting');
      }
      while (present.length > 0) leave([...held][0]!);
      expect(held.size).toBe(0);
    }),
    { numRuns: 200 },
  );
});

test('a later read waits behind a waiting change, so that reads do not starve it', () => {
  const lock = new SectorLock(() => {});
  const [first, change, later] = [new LockEntry(), new LockEntry(), new LockEntry()];
  for (const one of [first, change, later]) one.end = 8;
  change.isExclusive = true;
  expect([lock.enter(first), lock.enter(change), lock.enter(later)]).toEqual([true, false, false]);
  lock.leave(first);
  expect([change.lock, later.lock]).toEqual(['held', 'waiting']);
});

test('hundreds of entries that do not overlap are held together, and each of them blocks', () => {
  const lock = new SectorLock(() => {});
  const entries = Array.from({ length: 300 }, (_, index) =>
    Object.assign(new LockEntry(), { begin: index * 8, end: index * 8 + 8, isExclusive: true }),
  );
  expect(entries.every((entry) => lock.enter(entry))).toBe(true);
  for (const index of [7, 150, 299]) lock.leave(entries[index]!);
  const probe = (sector: number): boolean => lock.enter(Object.assign(new LockEntry(), { begin: sector, end: sector + 1 }));
  expect([probe(7 * 8), probe(8 * 8), probe(150 * 8 + 7), probe(298 * 8), probe(299 * 8)]).toEqual([true, false, true, false, true]);
});

test('an entry that asks for the lock twice is a mistake of the client', () => {
  const lock = new SectorLock(() => {});
  const one = new LockEntry();
  one.end = 8;
  lock.enter(one);
  expect(() => lock.enter(one)).toThrow(AssertionError);
});
