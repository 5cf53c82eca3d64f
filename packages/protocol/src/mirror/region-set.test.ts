// Compares a set of regions with a set of numbers. Regions are added and removed by number, by range and by the bits of a map. Each search
// must find the same regions in both sets.

import { expectSame } from '@rsio/base/testing/quick-expect';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MIRROR_REGION_BYTES } from '../wire/limits.ts';
import { RegionSet } from './region-set.ts';

const region = fc.nat(2500);
const step = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), region }),
  fc.record({ kind: fc.constant('remove' as const), region }),
  fc.record({ kind: fc.constant('range' as const), begin: fc.nat(2500 * 8), length: fc.nat(80) }),
  fc.record({ kind: fc.constant('bits' as const), region, bits: fc.uint8Array({ maxLength: 9 }) }),
);

function naiveRange(begin: number, end: number): number[] {
  const found: number[] = [];
  for (let at = begin; at < end; at++) found.push(Math.floor(at / 8));
  return found;
}

test('the set has what a naive set has, and finds the same', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.array(fc.tuple(fc.nat(2600 * 8), fc.nat(400)), { maxLength: 20 }), (steps, asked) => {
      const set = new RegionSet();
      const naive = new Set<number>();
      // The ranges of this test are in eighths of a region.
      const unit = MIRROR_REGION_BYTES / 8;
      for (const one of steps) {
        if (one.kind === 'add') {
          naive.add(one.region);
          set.add(one.region);
        } else if (one.kind === 'remove') {
          naive.delete(one.region);
          set.remove(one.region);
        } else if (one.kind === 'range') {
          for (const each of naiveRange(one.begin, one.begin + one.length)) naive.add(each);
          set.addRange(one.begin * unit, (one.begin + one.length) * unit);
        } else {
          for (let bit = 0; bit < one.bits.length * 8; bit++)
            if (((one.bits[bit >>> 3]! >>> (bit & 7)) & 1) !== 0) naive.add(one.region + bit);
          set.addBits(one.region, Buffer.from(one.bits));
        }
      }
      expect(set.count).toBe(naive.size);
      for (const each of naive) expectSame(set.has(each), true);
      for (const [begin, length] of asked) {
        const expected = naiveRange(begin, begin + length).find((each) => naive.has(each)) ?? -1;
        expect(set.firstIn(begin * unit, (begin + length) * unit)).toBe(expected);
        expect(set.hasAny(begin * unit, (begin + length) * unit)).toBe(expected >= 0);
        const from = Math.floor(begin / 8);
        const above = [...naive].filter((each) => each >= from);
        expect(set.firstFrom(from)).toBe(above.length === 0 ? -1 : Math.min(...above));
        let absent = from;
        while (naive.has(absent)) absent++;
        expect(set.firstAbsentFrom(from)).toBe(absent);
      }
      set.clear();
      expect([set.count, set.firstFrom(0)]).toEqual([0, -1]);
    }),
    { numRuns: 200 },
  );
});

test('a watcher gets what is added, members included, and another set can be added', () => {
  const set = new RegionSet();
  set.add(7);
  set.watcher = new RegionSet();
  set.addRange(6 * MIRROR_REGION_BYTES, 8 * MIRROR_REGION_BYTES);
  set.remove(6);
  expect([set.watcher.has(6), set.watcher.has(7), set.watcher.count]).toEqual([true, true, 2]);
  const other = new RegionSet();
  other.add(40);
  other.addAll(set);
  expect([other.has(7), other.has(40), other.count]).toEqual([true, true, 2]);
});

test('sets are joined, filled, cut down and compared as naive sets are', () => {
  const regions = fc.uniqueArray(fc.nat(200), { maxLength: 120 });
  fc.assert(
    fc.property(regions, regions, regions, fc.nat(210), fc.nat(210), (some, others, kept, first, from) => {
      const [set, other, third] = [some, others, kept].map((list) => {
        const made = new RegionSet();
        for (const one of list) made.add(one);
        return made;
      }) as [RegionSet, RegionSet, RegionSet];
      const outside = some.filter((one) => one >= from && !others.includes(one));
      expect(set.firstFromOutside(from, other)).toBe(outside.length === 0 ? -1 : Math.min(...outside));
      set.watcher = new RegionSet();
      set.addAll(other);
      set.addFirst(first);
      const all = new Set([...some, ...others, ...Array.from({ length: first }, (_, index) => index)]);
      expect([set.count, [...all].every((one) => set.has(one))]).toEqual([all.size, true]);
      expect([...others, ...(first > 0 ? [first - 1] : [])].every((one) => set.watcher!.has(one))).toBe(true);
      set.keepOnly([other, third]);
      const left = [...all].filter((one) => others.includes(one) || kept.includes(one));
      expect([set.count, left.every((one) => set.has(one))]).toEqual([left.length, true]);
    }),
    { numRuns: 300 },
  );
});
