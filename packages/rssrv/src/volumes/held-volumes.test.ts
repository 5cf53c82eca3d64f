// Compares the set of open volumes and its index with plain Maps that are copied at each change, over any order of changes of any versions.
// Volumes may have the same file or the same id.

import { RsError } from '@rsio/base/lib/errors';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type HeldVolume, HeldVolumes } from './held-volumes.ts';

interface Pair {
  readonly held: HeldVolumes;
  readonly plain: ReadonlyMap<string, HeldVolume>;
}

const KEYS = ['a', 'b', 'c', 'd'];
const IDS = ['1', '2', '3'];
const FILES = ['x', 'y', 'z', '1'];

const served = fc.oneof(
  fc.record({ id: fc.constantFrom(...IDS), storage: fc.option(fc.constantFrom(...FILES), { nil: undefined }) }),
  fc.record({
    id: fc.constantFrom(...IDS),
    layout: fc.record({
      parts: fc.array(fc.record({ storage: fc.option(fc.constantFrom(...FILES), { nil: undefined }) }), { maxLength: 3 }),
    }),
  }),
);
const volume = fc
  .tuple(served, fc.boolean())
  .map(([one, isCut]) => ({ served: one, cut: isCut ? new RsError('E_VOLUME', 'cut') : null }) as unknown as HeldVolume);
const step = fc.record({
  at: fc.nat(20),
  key: fc.constantFrom(...KEYS),
  volume,
  gone: fc.option(fc.subarray(KEYS), { freq: 2 }),
  isSame: fc.boolean(),
});

const filesOf = ({ served: { storage, layout } }: HeldVolume): unknown[] =>
  layout === undefined ? [storage] : layout.parts.map((part) => part.storage);

function check({ held, plain }: Pair): void {
  expect([...held.all]).toEqual([...plain]);
  const keys = (isUser: (one: HeldVolume) => boolean): string[] =>
    [...plain].flatMap(([key, one]) => (isUser(one) ? [key] : [])).toSorted();
  expect(held.cut).toEqual([...plain.values()].filter(({ cut }) => cut !== null));
  expect(held.cutCount).toBe(held.cut.length);
  for (const id of IDS) expect(held.keysWithId(id).toSorted()).toEqual(keys((one) => one.served.id === id));
  for (const file of FILES) expect(held.keysWithFile(file).toSorted()).toEqual(keys((one) => filesOf(one).includes(file)));
}

test('each version has its volumes and their index, whatever other versions become', () => {
  const property = fc.property(fc.array(volume, { maxLength: 4 }), fc.array(step, { maxLength: 15 }), (begin, steps) => {
    const first = new Map(begin.map((one, index) => [KEYS[index]!, one]));
    const pairs: Pair[] = [{ held: HeldVolumes.of(first), plain: first }];
    for (const { at, key, volume: one, gone, isSame } of steps) {
      const from = pairs[Math.max(0, pairs.length - 1 - (at > 15 ? at : 0))]!;
      const plain = new Map(from.plain);
      for (const other of gone ?? []) plain.delete(other);
      // Most changes leave the id and the files.
      const next = isSame ? { ...(plain.get(key) ?? one), cut: null } : one;
      if (gone === null) plain.set(key, next);
      pairs.push({ held: gone === null ? from.held.with(key, next) : from.held.without(gone), plain });
    }
    for (const pair of pairs) check(pair);
  });
  fc.assert(property, { numRuns: 300 });
});
