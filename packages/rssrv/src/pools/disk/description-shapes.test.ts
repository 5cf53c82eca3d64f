// Descriptions of pools carry a checksum, which older servers ignore and leave out.

import { integer, object } from '@rsio/base/lib/shape';
import { unsealed } from '@rsio/base/testing/unsealed';
import { expect, test } from 'vitest';
import { parseContent, printContent } from './description-shapes.ts';

const SHAPE = object({ epoch: integer(), sizeBytes: integer() });
const TEXT = printContent({ epoch: 12, sizeBytes: 4096 });
const parsed = (text: string): unknown => parseContent('volume.json', text, SHAPE).fields;

test('a description with another digit anywhere is damaged, although it has the right form', () => {
  const places = [...TEXT.matchAll(/[0-9]/g)].map(({ index }) => index);
  expect(places.length).toBeGreaterThan(6);
  for (const at of places) {
    const digit = (Number(TEXT[at]) + 1) % 10;
    const damaged = `${TEXT.slice(0, at)}${digit}${TEXT.slice(at + 1)}`;
    // A digit of the name of the field makes it another field.
    const why = at < '{"crc32"'.length ? 'it begins neither' : 'its checksum is wrong';
    expect(() => parsed(damaged), damaged).toThrow(`volume.json is damaged (${why}`);
  }
});

test('a description is read with and without its checksum', () => {
  expect(parsed(TEXT)).toEqual({ epoch: 12, sizeBytes: 4096 });
  expect(parsed(unsealed(TEXT))).toEqual({ epoch: 12, sizeBytes: 4096 });
});

test.each([
  ['', 'it is empty'],
  ['\0\0\0', 'it has only zeros'],
  [TEXT.slice(0, 40), 'its checksum is wrong'],
])('the damage of %j is named', (text, damage) => {
  expect(() => parsed(text)).toThrow(`volume.json is damaged (${damage}): restore it from a backup of the pool`);
});
