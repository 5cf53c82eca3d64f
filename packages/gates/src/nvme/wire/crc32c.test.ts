// CRC-32C against the values of RFC 3720 and against the bitwise definition. Invariant: the checksum does not depend on how the bytes are
// cut.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { CRC32C_BEGIN, crc32c, crc32cUpdate, crc32cValue } from './crc32c.ts';

function bitwise(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f63b78;
  }
  return ~crc >>> 0;
}

it.each([
  ['32 bytes of 0', Buffer.alloc(32), 0x8a9136aa],
  ['32 bytes of 0xff', Buffer.alloc(32, 0xff), 0x62a8ab43],
  ['0 to 31', Buffer.from(Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e],
  ['31 to 0', Buffer.from(Array.from({ length: 32 }, (_, index) => 31 - index)), 0x113fdb5c],
])('has the value of RFC 3720 for %s', (_, bytes, value) => expect(crc32c(bytes, 0, bytes.length)).toBe(value));

it('is the same for any cut of the bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), (bytes, cut) => {
      const at = Math.min(cut, bytes.length);
      const state = crc32cUpdate(crc32cUpdate(CRC32C_BEGIN, bytes, 0, at), bytes, at, bytes.length);
      expect(crc32cValue(state)).toBe(bitwise(bytes));
    }),
  );
});
