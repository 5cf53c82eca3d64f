// The paths of devices for arbitrary names of volumes.
// Collisions with existing files are tested with real devices.

import { expect, it } from 'vitest';
import { devicePlaces, overlaps } from './device-paths.ts';

const volume = (name: string, universe = 0): { namespace: string; name: string; universe: number } => ({
  namespace: 'osl',
  name,
  universe,
});

it('universe and name determine the location, path = sets another one, both below the root', () => {
  expect(devicePlaces('', '/dev', volume('oracle', 2), null)).toEqual({ block: '/dev/av2/oracle', raw: '/dev/av2/roracle' });
  expect(devicePlaces('/lab', '/lab/dev', volume('oracle'), null)).toEqual({ block: '/lab/dev/av0/oracle', raw: '/lab/dev/av0/roracle' });
  expect(devicePlaces('/lab', '/lab/dev', volume('oracle'), '/dev/disk/db')).toEqual({
    block: '/lab/dev/disk/db',
    raw: '/lab/dev/disk/rdb',
  });
  expect(devicePlaces('/lab', '/lab/dev', volume('oracle'), '/../../etc/db').block).toBe('/lab/etc/db');
  // The section [volume oracle] applies only to the volume in universe 0, so an image of oracle never gets the path from this section.
  expect(devicePlaces('', '/dev', volume('oracle', 1), '/dev/disk/db').block).toBe('/dev/av1/oracle');
});

it.each(['', '.', '..', '../../etc/passwd', 'a/b', 'a b', 'a\0', 'a volume called %j has no location unless path = sets one'.repeat(64)])(
  'a volume called %j has no place, unless it is given one',
  (name) => {
    expect(() => devicePlaces('', '/dev', volume(name), null)).toThrow(/cannot have a device of that name: set path =/);
    expect(devicePlaces('', '/dev', volume(name), '/dev/db').block).toBe('/dev/db');
  },
);

it('X and rX in one universe collide, and so do two volumes of one name', () => {
  const places = (name: string, universe = 0, path: string | null = null): ReturnType<typeof devicePlaces> =>
    devicePlaces('', '/dev', volume(name, universe), path);
  expect(overlaps(places('oracle'), places('oracle'))).toBe(true);
  expect(overlaps(places('oracle'), places('roracle'))).toBe(true);
  expect(overlaps(places('roracle'), places('oracle'))).toBe(true);
  expect(overlaps(places('oracle'), places('oracle', 1))).toBe(false);
  expect(overlaps(places('oracle', 1), places('archive', 0, '/dev/av1/oracle'))).toBe(true);
  expect(overlaps(places('oracle'), places('rroracle'))).toBe(false);
});
