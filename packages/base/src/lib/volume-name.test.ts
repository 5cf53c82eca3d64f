// Tests the grammar of names with universes and snapshots: parsing yields the parts from which a name was composed. Invariant: no word
// after an @ is both a universe and a snapshot.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isSnapshotName } from './units.ts';
import { nameInUniverse, parseVolumeName, servedNameParts, snapshotName, volumeLabel } from './volume-name.ts';

const word = fc.stringMatching(/^[A-Za-z0-9_.-]{1,63}$/).filter((text) => text !== '.' && text !== '..');
const snapshots = word.filter(isSnapshotName);

test('every label is a name that means the same', () => {
  const property = fc.property(
    word,
    word,
    fc.integer({ min: 0, max: 3 }),
    fc.option(snapshots),
    (namespace, volume, universe, snapshot) => {
      const name = snapshot === null ? volume : snapshotName(volume, snapshot);
      expect(servedNameParts(name)).toEqual({ volume, snapshot });
      expect(parseVolumeName(volumeLabel({ namespace, name, universe }))).toEqual({ namespace, volume, universe, snapshot });
    },
  );
  fc.assert(property);
});

test('a universe is one digit from 0 to 3, and a snapshot is not all digits', () => {
  expect(parseVolumeName('oracle@monday')).toEqual({ namespace: null, volume: 'oracle', universe: null, snapshot: 'monday' });
  expect(parseVolumeName('oracle@1')).toEqual({ namespace: null, volume: 'oracle', universe: 1, snapshot: null });
  expect(parseVolumeName('osl:oracle@1@2a')).toEqual({ namespace: 'osl', volume: 'oracle', universe: 1, snapshot: '2a' });
  expect(nameInUniverse({ name: 'oracle@monday', universe: 2 })).toBe('oracle@2@monday');
  for (const wrong of [
    '',
    'oracle@',
    'oracle@4',
    'oracle@12',
    'oracle@1@2',
    'oracle@monday@1',
    'oracle@.x',
    'oracle@a b',
    'a:b:c',
    '@monday',
  ])
    expect(parseVolumeName(wrong)).toBeNull();
});

// rsiod asked servers about the name, and failed with an internal error when it encoded the frame.
test('a text that no server accepts as a name of a volume is no name of a volume', () => {
  for (const wrong of [' ', 'ora cle', 'ora/cle', '.', '..', 'o\u0000', 'ö', 'x'.repeat(64), 'o l:oracle', `${'x'.repeat(64)}:oracle`]) {
    expect(parseVolumeName(wrong), wrong).toBeNull();
  }
  expect(parseVolumeName('all')).toMatchObject({ volume: 'all' });
});
