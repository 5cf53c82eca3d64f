// Tests the scan with MessagePack bytes from another encoder, and with each form that the scan must refuse.
// messages.test.ts tests the fields.

import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { expect, test } from 'vitest';
import { MESSAGE_DEPTH_MAX } from './limits.ts';
import { scanValue } from './message-scan.ts';

const plain = new Packr({ useRecords: false, variableMapSize: true });

test('finds the end of every value that another encoder writes, whatever follows', () => {
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { depthSize: 'small', maxDepth: MESSAGE_DEPTH_MAX - 2 },
      fc.oneof(fc.string({ maxLength: 400 }), fc.integer(), fc.maxSafeInteger(), fc.double(), fc.boolean(), fc.constant(null)),
      fc.uint8Array({ maxLength: 70_000 }).map((bytes) => Buffer.from(bytes)),
      fc.array(tie('any'), { maxLength: 20 }),
      fc.dictionary(fc.string({ maxLength: 40 }), tie('any'), { maxKeys: 20 }),
    ),
  })).any;
  fc.assert(
    fc.property(value, fc.nat(9), (given, before) => {
      const body = plain.pack(given);
      const bytes = Buffer.concat([Buffer.alloc(before, 0xc1), body, Buffer.alloc(3, 0xc1)]);
      expect(scanValue(bytes, before, bytes.length)).toBe(before + body.length);
      for (const cut of [0, body.length >> 1, body.length - 1]) expect(scanValue(bytes, before, before + cut)).toBe(-1);
    }),
  );
});

test('depth is bounded', () => {
  const nested = (depth: number): Buffer => Buffer.concat([Buffer.alloc(depth, 0x91), Buffer.from([0])]);
  expect(scanValue(nested(MESSAGE_DEPTH_MAX), 0, MESSAGE_DEPTH_MAX + 1)).toBe(MESSAGE_DEPTH_MAX + 1);
  expect(scanValue(nested(MESSAGE_DEPTH_MAX + 1), 0, MESSAGE_DEPTH_MAX + 2)).toBe(-1);
});

test.each([
  ['the unused type', 'c1'],
  ['a fixed extension', 'd40000'],
  ['a record definition', 'd47240'],
  ['an extension of any length', 'c70172a0'],
  ['a date', 'd6ff00000000'],
  ['a number as a map key', '810102'],
  ['a list as a map key', '819001'],
  ['nil as a map key', '81c001'],
  ['a list longer than its bytes', 'ddffffffff00'],
  ['a map longer than its bytes', 'dfffffffff'],
  ['text longer than its bytes', 'dbffffffff61'],
  ['bytes whose length is cut', 'c600'],
  ['an extension within a list', '91d40000'],
  ['an extension within a map', '81a161d40000'],
])('%s is refused', (_name, hex) => {
  const bytes = Buffer.from(hex, 'hex');
  expect(scanValue(bytes, 0, bytes.length)).toBe(-1);
});
