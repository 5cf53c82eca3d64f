// Tests the names, sizes and lists that commands accept, and the messages of their refusals. rsadm's program.test.ts shows that commands
// check these values before they send a request.

import { expect, test } from 'vitest';
import { clientsOf, poolNameOf, sizeOf, splitSnapshot, volumeName } from './values.ts';

test.each<[string, string, number]>([
  ['oracle', 'oracle', 0],
  ['oracle@0', 'oracle', 0],
  ['oracle@3', 'oracle', 3],
  ['a.b_c-9@01', 'a.b_c-9', 1],
  ['x'.repeat(63), 'x'.repeat(63), 0],
])('%s is volume %s of universe %d', (text, name, universe) => {
  expect(volumeName(text, 'rsadm')).toEqual({ name, universe });
});

test.each([
  ['', 'Wrong volume name ""'],
  ['@1', 'Wrong volume name "@1"'],
  ['.', 'Wrong volume name "."'],
  ['a b', 'Wrong volume name "a b"'],
  ['osl:oracle', 'Wrong volume name "osl:oracle"'],
  ['x'.repeat(64), 'Wrong volume name "xxx'],
  ['a\n@1', 'Wrong volume name "a\\n@1"'],
  ['a@1\n', 'Wrong volume name "a@1\\n"'],
  ['a\u009b', 'Wrong volume name "a\\x9b"'],
  ['oracle@', 'Wrong universe in "oracle@": allowed is 0 to 3'],
  ['oracle@4', 'Wrong universe in "oracle@4": allowed is 0 to 3'],
  ['pgm@z1', '"pgm@z1" is a snapshot, and this takes a volume: give pgm'],
  ['pgm@1@2026-z', '"pgm@1@2026-z" is a snapshot, and this takes a volume: give pgm@1'],
  ['oracle@-1', 'Wrong universe in "oracle@-1": allowed is 0 to 3'],
  ['oracle@1@2', 'Wrong universe in "oracle@1@2": allowed is 0 to 3'],
])('%j is refused as the name of a volume', (text, message) => {
  expect(() => volumeName(text, 'rsadm')).toThrow(message);
});

test('sizes of volumes are from one sector to the largest volume', () => {
  expect(sizeOf('--size', '512', 'rsadm')).toBe(512);
  expect(sizeOf('--size', '20G', 'rsadm')).toBe(20 * 1024 ** 3);
  expect(sizeOf('--size', '8589934591m', 'rsadm')).toBe(2 ** 53 - 1024 ** 2);
  for (const wrong of ['0', '511', '8p', '9p', '-5', '1.5g', '20 g', '20gb', '', '0x200'])
    expect(() => sizeOf('--size', wrong, 'rsadm')).toThrow(
      `Wrong --size ${JSON.stringify(wrong)}: allowed is a size from 512 to 8589934591m: a whole number of bytes`,
    );
});

test('names of pools and lists of clients', () => {
  expect(poolNameOf('--pool', 'fast', 'rsadm')).toBe('fast');
  expect(() => poolNameOf('--pool', '', 'rsadm')).toThrow('Wrong --pool "": allowed is 1 to 63 of the characters');
  expect(clientsOf('--clients', 'all', 'rsadm')).toBeNull();
  expect(clientsOf('--clients', 'a, b a', 'rsadm')).toEqual(['a', 'b']);
  expect(() => clientsOf('--clients', 'a,all', 'rsadm')).toThrow(
    'Wrong --clients "a,all": allowed is all, or names separated by commas or spaces',
  );
});

test.each([
  ['oracle@monday', 'oracle', 'monday'],
  ['oracle@1@monday', 'oracle@1', 'monday'],
  ['osl:oracle@0@a.b-c_1', 'osl:oracle@0', 'a.b-c_1'],
  ['oracle@1a', 'oracle', '1a'],
  ['oracle', 'oracle', null],
  ['oracle@1', 'oracle@1', null],
  ['oracle@1@2', 'oracle@1@2', null],
  ['oracle@', 'oracle@', null],
  ['@monday', '', 'monday'],
])('%j is volume %j and snapshot %j', (text, volume, snapshot) => {
  expect(splitSnapshot(text, 'rsadm')).toEqual({ volume, snapshot });
});

test.each(['oracle@.x', 'oracle@a b', 'oracle@a\n', `oracle@${'x'.repeat(64)}`, 'oracle@1@ü'])(
  '%j has a wrong name of a snapshot',
  (text) => {
    expect(() => splitSnapshot(text, 'rsadm')).toThrow('Wrong snapshot name');
  },
);
