// Tests which changes of the storage are reported: a pool that becomes unusable, or a volume that is no longer served, is reported once. On
// a server, the administration takes the pictures of the storage.

import { expect, test } from 'vitest';
import { VOLUMES_NAMED_MAX } from './limits.ts';
import { type StoragePicture, StorageWatch } from './storage-watch.ts';

function picture(unavailable: Record<string, string> = {}, reason: string | null = null, isAway = false): StoragePicture {
  return {
    pools: new Map([['fast', { reason, isAway }]]),
    unavailable: new Map(Object.entries(unavailable)),
    exists: (volume) => volume !== 'gone@0',
  };
}

function changes(...pictures: readonly StoragePicture[]): string[][] {
  const watch = new StorageWatch();
  return pictures.map((one) => watch.look(one).map(({ object, from, to }) => `${object}: ${from} -> ${to}`));
}

test('pools and volumes that are lost and come back; a removed volume does not come back', () => {
  const lost = { 'db@0': 'pool fast cannot be used', 'gone@0': 'x' };
  expect(changes(picture(), picture(lost, 'not mounted'), picture(lost, 'not mounted'), picture())).toEqual([
    [],
    ['pool fast: ready -> unavailable', 'volume db@0: served -> unavailable', 'volume gone@0: served -> unavailable'],
    [],
    ['pool fast: unavailable -> ready', 'volume db@0: unavailable -> served'],
  ]);
});

test('a shared pool that leaves the server is not unavailable, and one whose files cannot be trusted is', () => {
  const away = picture({}, 'it moves to server big-8', true);
  expect(changes(picture(), away, picture({}, 'server big-8 serves it', true), picture(), picture({}, 'EIO'), away)).toEqual([
    [],
    ['pool fast: ready -> not here'],
    [],
    ['pool fast: not here -> ready'],
    ['pool fast: ready -> unavailable'],
    ['pool fast: unavailable -> not here'],
  ]);
});

test('many volumes at once are counted, not named', () => {
  const many = Object.fromEntries(Array.from({ length: 10_000 }, (_unused, index) => [`v${index}@0`, 'x']));
  const [lost = [], back = []] = changes(picture(many), picture());
  expect([lost.length, back.length]).toEqual([VOLUMES_NAMED_MAX + 1, VOLUMES_NAMED_MAX + 1]);
  expect(lost.at(-1)).toBe(`${10_000 - VOLUMES_NAMED_MAX} more volumes: served -> unavailable`);
});
