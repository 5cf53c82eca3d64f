// Judged by all changes of one byte, all cuts and random damage of a text: none is read as another content. Rules: G58.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SeededRandom } from '../testing/seeded-random.ts';
import { readSealed, sealed, sealOf } from './sealed-text.ts';

const CONTENT = { version: 3, content: { 'oracle@0': { node: 'big-2', epoch: 12, isTaken: false }, märz: ['ä', '\u0000', 1.5] } };
const TEXTS = [sealed(`${JSON.stringify(CONTENT)}\n`), sealed(`${JSON.stringify(CONTENT, null, 2)}\n`)] as const;

test.each(TEXTS)('a sealed text is JSON that begins with its checksum, and is read with it: %s', (text) => {
  expect(text).toMatch(/^\{"crc32":"[0-9a-f]{8}",/);
  expect(JSON.parse(text)).toEqual({ crc32: text.slice(10, 18), ...CONTENT });
  expect(readSealed(text)).toEqual({ value: JSON.parse(text) });
  // Files may be padded.
  expect(readSealed(`${text}   \n `)).toEqual({ value: JSON.parse(text) });
});

test('the pieces of a text have the seal of the whole text', () => {
  const [text] = TEXTS;
  const fields = text.slice('{"crc32":"01234567",'.length).trimEnd();
  expect(`${sealOf([fields.slice(0, 7), Buffer.from(fields.slice(7))])}${fields}\n`).toBe(text);
});

test('a text with one changed byte is never content', () => {
  let tried = 0;
  for (const text of TEXTS) {
    const end = text.trimEnd().length;
    const bytes = Buffer.from(text);
    for (let at = 0; at < Buffer.byteLength(text.slice(0, end)); at++) {
      for (let value = 0; value < 256; value++) {
        if (value === bytes[at]) continue;
        const flipped = Buffer.from(bytes);
        flipped[at] = value;
        const read = readSealed(flipped.toString('utf8'));
        tried++;
        if ('value' in read) throw new Error(`Byte ${at} is ${value}: ${flipped.toString('utf8')}`);
      }
    }
  }
  expect(tried).toBeGreaterThan(50_000);
});

test('the beginning of a text is never content', () => {
  for (const text of TEXTS) {
    const end = text.trimEnd().length;
    for (let length = 0; length < end; length++) expect(readSealed(text.slice(0, length)), String(length)).toHaveProperty('damage');
  }
});

test('a text with overwritten, exchanged or lost pieces is never content', () => {
  fc.assert(
    fc.property(fc.integer(), fc.constantFrom(...TEXTS), (seed, text) => {
      const random = new SeededRandom(seed);
      const bytes = Buffer.from(text.trimEnd());
      const [at, length] = [random.int(0, bytes.length - 1), random.int(1, 16)];
      const rest = bytes.subarray(at + length);
      const piece = random.bytes(random.int(0, 20));
      const damaged = Buffer.concat([bytes.subarray(0, at), piece, rest]);
      fc.pre(!damaged.equals(bytes));
      expect(readSealed(damaged.toString('utf8'))).toHaveProperty('damage');
    }),
    { numRuns: 5000 },
  );
});

test.each([
  ['', 'it is empty'],
  [' \n', 'it is empty'],
  ['\0'.repeat(512), 'it has only zeros'],
  ['{"version":1,"cont', 'it is not JSON'],
  ['{"crc32":"00000000","version":1}\n', 'its checksum is wrong'],
  ['{"crc33":"00000000","version":1}\n', 'it begins neither with its checksum nor with its version'],
])('the damage of %j is named', (text, damage) => {
  expect(readSealed(text)).toEqual({ damage });
});

test.each(['{"version":1,"content":{}}\n', '{\n  "version": 1\n}\n', '{"stamp":"a"}', '[]', '1'])(
  'a text of a program that knows no checksum is read: %s',
  (text) => {
    expect(readSealed(text)).toEqual({ value: JSON.parse(text) });
  },
);
