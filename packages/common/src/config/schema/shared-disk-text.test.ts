// Tests the types of the keys of a shared pool, and that a value that shared-disk-text.ts prints is read back unchanged. The reader of the
// section is tested in reader/storage-sections.test.ts.

import { describe, expect, test } from 'vitest';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { diskText, fenceText } from './shared-disk-text.ts';
import { disk, type DiskConfig, fence, type FenceConfig, serverNames } from './value-types.ts';

const SEEDS = 200;
const WORD = 'abcdefghijklmnopqrstuvwxyzABCXYZ0123456789._-';
const PRINTED = `${WORD}/:,=@+%~é"'`;

function wordFrom(random: SeededRandom, characters: string, maxChars: number): string {
  return Array.from({ length: random.int(1, maxChars) }, () => random.pick(Array.from(characters))).join('');
}

function anyDisk(random: SeededRandom): DiskConfig {
  if (random.chance(0.5)) return { kind: 'rbd', pool: wordFrom(random, WORD, 64), image: wordFrom(random, WORD, 64) };
  return { kind: 'device', path: `/${wordFrom(random, `${PRINTED} `, 100).trim()}` };
}

function anyFence(random: SeededRandom): FenceConfig {
  const kind = random.pick(['rbd', 'reservation', 'none', 'command'] as const);
  if (kind !== 'command') return { kind };
  const words = Array.from({ length: random.int(0, 6) }, () => wordFrom(random, PRINTED, 20));
  return { kind, program: `/${wordFrom(random, PRINTED, 60)}`, words };
}

describe.each(Array.from({ length: SEEDS }, (_, seed) => seed))('seed %i', (seed) => {
  test('a printed disk and a printed fence are read back', () => {
    const random = new SeededRandom(seed);
    const [someDisk, someFence] = [anyDisk(random), anyFence(random)];
    expect(disk.parse(diskText(someDisk))).toEqual(someDisk);
    expect(fence.parse(fenceText(someFence))).toEqual(someFence);
  });
});

test.each([
  ['rbd:rsio/fast', { kind: 'rbd', pool: 'rsio', image: 'fast' }],
  ['/dev/disk/by-id/wwn-0x5000c5', { kind: 'device', path: '/dev/disk/by-id/wwn-0x5000c5' }],
])('disk %s', (text, value) => {
  expect(disk.parse(text)).toEqual(value);
});

test.each(['', 'sdb', 'rbd:', 'rbd:fast', 'rbd:a/b/c', 'rbd:a/', 'rbd:a b/c', `rbd:a/${'x'.repeat(65)}`, 'dev/sdb'])(
  'disk "%s" is refused',
  (text) => {
    expect(() => disk.parse(text)).toThrow('rbd:POOL/IMAGE, or the absolute path of a device');
  },
);

test.each([
  ['rbd', { kind: 'rbd' }],
  ['reservation', { kind: 'reservation' }],
  ['none', { kind: 'none' }],
  ['command:/usr/sbin/fence_ipmilan', { kind: 'command', program: '/usr/sbin/fence_ipmilan', words: [] }],
  ['command: /bin/f  -a   b', { kind: 'command', program: '/bin/f', words: ['-a', 'b'] }],
])('fence %s', (text, value) => {
  expect(fence.parse(text)).toEqual(value);
});

test.each(['', 'ipmi', 'RBD', 'command', 'command:', 'command:fence_ipmilan', '/usr/sbin/fence_ipmilan'])(
  'fence "%s" is refused',
  (text) => {
    expect(() => fence.parse(text)).toThrow('rbd, reservation, none, or command: and the absolute path of a program');
  },
);

test('names of servers are read in their order, each once', () => {
  expect(serverNames.parse('big-9, big-8 big-7,big-9')).toEqual(['big-9', 'big-8', 'big-7']);
});

test.each(['', ',', 'big-9,,big-8', 'a/b', `big-${'9'.repeat(64)}`])('names of servers "%s" are refused', (text) => {
  expect(() => serverNames.parse(text)).toThrow('names of servers, separated by commas or spaces');
});
