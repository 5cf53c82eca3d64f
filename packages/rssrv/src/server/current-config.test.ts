// Compares the searches of the configuration in force with searches of its list of volumes, over any changes: of one volume, of the whole
// list, and of a list that was changed meanwhile. Two volumes may have the same key or the same id.

import type { RssrvConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { systemClock } from '@rsio/base/lib/clock';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { volumeConfig } from '../testing/volume-config.ts';
import { volumeKey } from '../volumes/volume-ids.ts';
import { CurrentConfig } from './current-config.ts';

const NAMES = ['a', 'b', 'c', 'd'];
const IDS = ['1', '2', '3', '4', '5'];
const configOf = (volumes: readonly ServerVolumeConfig[]): RssrvConfig => ({ volumes }) as unknown as RssrvConfig;

const volume = fc
  .record({ name: fc.constantFrom(...NAMES), universe: fc.nat(1), id: fc.constantFrom(...IDS, null), isPooled: fc.boolean() })
  .map(({ isPooled, ...fields }) =>
    volumeConfig({ ...fields, ...(isPooled && fields.id !== null ? { pool: { name: 'p', stamp: null, ids: [], isThick: false } } : {}) }),
  );
const step = fc.record({
  kind: fc.constantFrom('one', 'one', 'one', 'one', 'other list', 'list', 'file', 'look'),
  at: fc.integer({ min: -1, max: 6 }),
  now: fc.option(volume),
  all: fc.array(volume, { maxLength: 4 }),
});

function check(current: CurrentConfig): void {
  const { volumes } = current.config;
  for (const name of NAMES) {
    for (const universe of [0, 1]) {
      const key = volumeKey({ name, universe });
      for (const except of [null, ...volumes])
        expect(current.volumeWithKey(key, except)).toBe(volumes.find((one) => one !== except && volumeKey(one) === key) ?? null);
    }
  }
  for (const id of IDS) expect(current.poolVolume(id)).toBe(volumes.find((one) => one.pool !== undefined && one.id === id) ?? null);
}

test('a search finds what a search of the list finds', () => {
  const property = fc.property(fc.array(volume, { maxLength: 4 }), fc.array(step, { maxLength: 12 }), (begin, steps) => {
    const current = new CurrentConfig(configOf(begin), systemClock);
    for (const { kind, at, now, all } of steps) {
      const from = current.config.volumes;
      const before = from[at] ?? null;
      const next = before === null ? from.concat(now ?? []) : from.toSpliced(at, 1, ...(now === null ? [] : [now]));
      if (kind === 'one') current.replaceVolumes(next, { from, before, now });
      if (kind === 'other list') {
        current.replaceVolumes(all);
        current.replaceVolumes(next, { from, before, now });
      }
      if (kind === 'list') current.replaceVolumes(all);
      if (kind === 'file') current.begin(configOf(all));
      // Without a search, there is no index that a change must keep up.
      if (kind !== 'one' || at % 2 === 0) check(current);
    }
    check(current);
  });
  fc.assert(property, { numRuns: 500 });
});
