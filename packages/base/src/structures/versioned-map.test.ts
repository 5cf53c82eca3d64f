// Compares the versions with plain Maps that are copied at each change: content and order, over any order of changes and reads of any
// versions, and iterators that stay open while newer versions are made.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { VersionedMap } from './versioned-map.ts';

interface Pair {
  readonly version: VersionedMap<number>;
  readonly plain: ReadonlyMap<string, number>;
}

/** Numbers of the tests, which are reproducible. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function changed({ version, plain }: Pair, key: string, value: number | null): Pair {
  const next = new Map(plain);
  if (value === null) next.delete(key);
  else next.set(key, value);
  return { version: value === null ? version.without([key]) : version.with(key, value), plain: next };
}

const empty = (): Pair => ({ version: VersionedMap.of(new Map()), plain: new Map() });

function check({ version, plain }: Pair): void {
  expect([...version]).toEqual([...plain]);
  expect([[...version.keys()], [...version.values()], version.size]).toEqual([[...plain.keys()], [...plain.values()], plain.size]);
  const seen: unknown[] = [];
  version.forEach((value, key) => seen.push([key, value]));
  expect(seen).toEqual([...plain]);
}

function checkKey({ version, plain }: Pair, key: string): void {
  expect([version.get(key), version.has(key), version.size]).toEqual([plain.get(key), plain.has(key), plain.size]);
}

test('all versions agree with copied Maps, whatever is changed and read', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  const step = fc.record({
    kind: fc.constantFrom('with', 'with', 'with', 'without', 'get', 'read'),
    at: fc.nat(1_000),
    key,
    value: fc.nat(5),
  });
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const pairs = [empty()];
    for (const { kind, at, key: one, value } of steps) {
      const pair = pairs[pairs.length - 1 - Math.min(pairs.length - 1, at < 600 ? 0 : at % pairs.length)]!;
      if (kind === 'get') checkKey(pair, one);
      else if (kind === 'read') check(pair);
      else pairs.push(changed(pair, one, kind === 'with' ? value : null));
    }
    for (const pair of pairs) for (const one of ['a', 'b', 'c', 'd', 'e', 'f']) checkKey(pair, one);
    for (const pair of pairs) check(pair);
  });
  fc.assert(property, { numRuns: 2_000 });
});

test.each([1, 2, 3, 4])('thousands of changes of a large map, with versions that are kept, %i', (seed) => {
  const below = random(seed);
  let newest = empty();
  const kept: Pair[] = [];
  for (let step = 0; step < 5_000; step++) {
    // Now and then, a change continues from an earlier version, and the versions branch.
    const from = below(50) === 0 && kept.length > 0 ? kept[below(kept.length)]! : newest;
    newest = changed(from, `k${below(400)}`, below(10) === 0 ? null : below(1_000));
    if (below(20) === 0) kept[kept.length < 40 ? kept.length : below(40)] = newest;
    if (kept.length === 0) continue;
    for (let reads = 0; reads < 3; reads++) checkKey(kept[below(kept.length)]!, `k${below(400)}`);
    if (below(100) === 0) check(kept[below(kept.length)]!);
    if (below(100) === 0) check(newest);
  }
  for (const pair of [...kept, newest]) check(pair);
});

test('a deletion leaves the order of the others, and the earlier version has the entry in its place', () => {
  const all = VersionedMap.of(new Map('abcd'.split('').map((key) => [key, 1])));
  const rest = all.without(['b']).with('e', 2).with('b', 3);
  expect([[...all.keys()], [...rest.keys()]]).toEqual([
    ['a', 'b', 'c', 'd'],
    ['a', 'c', 'd', 'e', 'b'],
  ]);
});

test('several entries are deleted at once', () => {
  const all = VersionedMap.of(new Map('abcd'.split('').map((key) => [key, 1])));
  expect([[...all.without(['d', 'x', 'a']).keys()], all.size]).toEqual([['b', 'c'], 4]);
});

test.each(['entries', 'keys', 'values'] as const)('an open iterator of %s sees its own version, old or newest', (what) => {
  const plain = new Map('abc'.split('').map((key, index) => [key, index]));
  const first = VersionedMap.of(plain);
  const ofNewest = first[what]();
  const seen = [ofNewest.next().value];
  const second = first.with('b', 7).with('d', 8);
  const ofOlder = first[what]();
  second.with('c', 9).without(['a']);
  seen.push(...ofNewest);
  expect([seen, [...ofOlder]]).toEqual([[...plain[what]()], [...plain[what]()]]);
});

test('the Map that a version was made from may change', () => {
  const plain = new Map([['a', 1]]);
  const version = VersionedMap.of(plain);
  plain.set('a', 2).set('b', 3);
  expect([[...version], VersionedMap.of(version) === version]).toEqual([[['a', 1]], true]);
});

test('a change to the same value is no change, and an earlier version far behind is read as it was', () => {
  const first = VersionedMap.of(new Map([['a', 0]]));
  expect(first.with('a', 0) === first && first.without(['b']) === first && first.without([]) === first).toBe(true);
  let newest = first;
  for (let value = 1; value < 60; value++) newest = newest.with('b', value);
  expect([first.get('a'), first.has('b'), newest.get('b'), first.with('c', 5).get('b'), first.get('c')]).toEqual([
    0,
    false,
    59,
    undefined,
    undefined,
  ]);
});
