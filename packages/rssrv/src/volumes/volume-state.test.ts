// Tests which volumes are open after a change: the fast path for a command that changes one volume gives the same volumes, in the same
// order, as an iteration over all configured volumes.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { volumeConfig } from '../testing/volume-config.ts';
import { volumeKey } from './volume-ids.ts';
import { type HeldVolume, HeldVolumes } from './held-volumes.ts';
import { heldAfter } from './volume-state.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];
const held = (text: string): HeldVolume => ({ served: { id: text.split(' ')[1] }, cut: text }) as unknown as HeldVolume;
const config = (name: string): ReturnType<typeof volumeConfig> => volumeConfig({ name });
const key = (name: string): string => volumeKey(config(name));
const some = fc.uniqueArray(fc.constantFrom(...NAMES));

test('the order is that of the configuration, and nothing stays that the change mentions and does not open', () => {
  const property = fc.property(some, some, some, some, fc.boolean(), (open, also, left, changed, atEnd) => {
    // A plan lists each volume only once. A changed volume is therefore not in the list of removed volumes.
    const gone = left.filter((name) => !changed.includes(name));
    // Volumes that were open and are still configured keep their order. A change adds its volumes at the end or at the beginning.
    const stays = open.filter((name) => !gone.includes(name));
    const added = changed.filter((name) => !stays.includes(name));
    const shut = also.filter((name) => ![...stays, ...added].includes(name));
    const configured = atEnd ? [...shut, ...stays, ...added] : [...added, ...stays, ...shut];
    const before = HeldVolumes.of(new Map(open.map((name) => [key(name), held(`old ${name}`)])));
    const after = heldAfter(
      {
        before,
        mentioned: new Set([...gone, ...changed].map(key)),
        changed: new Map(changed.map((name) => [key(name), held(`new ${name}`)])),
      },
      configured.map(config),
    );
    const expected = configured.flatMap((name): [string, unknown][] => {
      if (changed.includes(name)) return [[key(name), `new ${name}`]];
      return open.includes(name) && !gone.includes(name) ? [[key(name), `old ${name}`]] : [];
    });
    expect([...after.all].map(([one, { cut }]) => [one, cut])).toEqual(expected);
    expect(NAMES.map((name) => after.keysWithId(name).length)).toEqual(NAMES.map((name) => Number(after.get(key(name)) !== undefined)));
  });
  fc.assert(property, { numRuns: 2_000 });
});
