// Compares the index of the volumes of a pool with an iteration over the volumes, over any changes of any versions. Volumes may have the
// same name, and sums may be too large to be exact.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Manifest } from './manifest.ts';
import { firstBytesIn, volumesNamed, withManifest, withoutManifest } from './volume-index.ts';

const IDS = ['1', '2', '3', '4'];
const NAMES = ['a', 'ra', 'b'];

interface Pair {
  readonly volumes: ReadonlyMap<string, Manifest>;
  readonly plain: ReadonlyMap<string, Manifest>;
}

const manifest = fc
  .record({
    id: fc.constantFrom(...IDS),
    name: fc.constantFrom(...NAMES),
    universe: fc.nat(1),
    sizeBytes: fc.oneof({ weight: 4, arbitrary: fc.nat(1_000) }, { weight: 1, arbitrary: fc.constant(2 ** 53 - 512) }),
    parts: fc.option(fc.array(fc.record({ sizeBytes: fc.nat(1_000) }), { minLength: 2, maxLength: 2 })),
  })
  .map(
    ({ parts, ...fields }) =>
      ({ ...fields, layout: parts === null ? { kind: 'simple' } : { kind: 'concat', parts } }) as unknown as Manifest,
  );
const step = fc.record({ at: fc.nat(20), manifest, gone: fc.option(fc.constantFrom(...IDS), { freq: 2 }), isLooked: fc.boolean() });

function check({ volumes, plain }: Pair): void {
  expect([...volumes]).toEqual([...plain]);
  const sum = [...plain.values()].reduce((bytes, { sizeBytes, layout }) => {
    return bytes + (layout.kind === 'simple' ? sizeBytes : (layout.parts[0]?.sizeBytes ?? 0));
  }, 0);
  expect(firstBytesIn(volumes)).toBe(sum);
  for (const name of NAMES)
    for (const universe of [0, 1])
      expect(volumesNamed(volumes, { name, universe })).toEqual(
        [...plain.values()].filter((one) => one.name === name && one.universe === universe),
      );
}

test('the index says what an iteration says', () => {
  const property = fc.property(fc.array(step, { maxLength: 15 }), (steps) => {
    const pairs: Pair[] = [{ volumes: new Map(), plain: new Map() }];
    for (const { at, manifest: one, gone, isLooked } of steps) {
      const from = pairs[Math.max(0, pairs.length - 1 - (at > 15 ? at - 15 : 0))]!;
      // Without a look, there is no index that a change must follow.
      if (isLooked) check(from);
      const plain = new Map(from.plain);
      if (gone === null) plain.set(one.id, one);
      else plain.delete(gone);
      pairs.push({ volumes: gone === null ? withManifest(from.volumes, one) : withoutManifest(from.volumes, gone), plain });
    }
    for (const pair of pairs) check(pair);
  });
  fc.assert(property, { numRuns: 400 });
});

test('a plain map may change after it was looked at', () => {
  const one = { id: '1', name: 'a', universe: 0, sizeBytes: 1, layout: { kind: 'simple' } } as unknown as Manifest;
  const plain = new Map([['1', one]]);
  expect(firstBytesIn(plain)).toBe(1);
  plain.set('2', { ...one, sizeBytes: 5 });
  expect([firstBytesIn(plain), volumesNamed(plain, one).length]).toEqual([6, 2]);
});
