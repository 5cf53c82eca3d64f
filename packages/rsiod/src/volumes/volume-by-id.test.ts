// Tests the persistent names of volumes: which values determine a name, and that names contain only characters that udev accepts.
// attachments.test.ts tests the name of an attached volume.

import { TOKEN_MAX_CHARS } from '@rsio/protocol/wire/limits';
import { FILE_NAME_MAX_BYTES } from './limits.ts';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { volumeById } from './volume-by-id.ts';

const id = '7d444840-9dc0-11d1-b245-5ffdce74fad2';
/** Generates ids that a server may give to a volume. */
const token = fc.string({
  unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
  minLength: 1,
  maxLength: 128,
});
const namespaceid = fc.integer({ min: 0, max: 65_535 });

test('an id of our own server appears in the name unchanged', () => {
  expect(volumeById({ namespaceid: 200, id })).toBe(`rsio-200-${id}`);
});

test('one id in two namespaces means two volumes', () => {
  expect(volumeById({ namespaceid: 201, id })).not.toBe(volumeById({ namespaceid: 200, id }));
});

test('characters that udev does not allow are escaped as udev does', () => {
  expect(volumeById({ namespaceid: 1, id: 'a/b' })).toBe('rsio-1-a\\x2fb');
  expect(volumeById({ namespaceid: 1, id: '..' })).toBe('rsio-1-..');
  expect(volumeById({ namespaceid: 1, id: 'x"$\'~' })).toBe('rsio-1-x\\x22\\x24\\x27\\x7e');
  // If the backslash were not escaped, this would be the name of a/b.
  expect(volumeById({ namespaceid: 1, id: 'a\\x2fb' })).toBe('rsio-1-a\\x5cx2fb');
});

test('the longest id gives a name that fits a file name', () => {
  const longest = (first: string): string => volumeById({ namespaceid: 65_535, id: first + '/'.repeat(TOKEN_MAX_CHARS - 1) });
  expect(longest('a')).toMatch(/^rsio-65535-sha256=[0-9a-f]{64}$/);
  expect(longest('a')).not.toBe(longest('b'));
});

test('any ids: allowed characters, a length that fits a file name, and distinct names', () => {
  fc.assert(
    fc.property(namespaceid, token, namespaceid, token, (one, first, other, second) => {
      const name = volumeById({ namespaceid: one, id: first });
      expect(name).toMatch(/^rsio-(?:[A-Za-z0-9#+\-.:=@_]|\\x[0-9a-f]{2})+$/);
      expect(name.length).toBeLessThanOrEqual(FILE_NAME_MAX_BYTES);
      expect(volumeById({ namespaceid: other, id: second }) === name).toBe(one === other && first === second);
    }),
  );
});
