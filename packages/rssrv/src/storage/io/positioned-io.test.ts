// Tests `piecesAfter`, which returns the pieces of memory that are left after a short transfer. The next system call transfers these
// pieces. The tests of the backends test complete transfers.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { piecesAfter } from './positioned-io.ts';

test('a short transfer goes on with the byte after the last one', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 }), fc.nat(80), (lengths, count) => {
      let next = 0;
      const pieces = lengths.map((length) => Buffer.from(Array.from({ length }, () => next++)));
      const moved = Math.min(count, next - 1);
      const rest = piecesAfter(pieces, moved);
      expect([...Buffer.concat(rest)]).toEqual(Array.from({ length: next - moved }, (_, index) => moved + index));
      expect(rest.every((piece) => piece.length > 0)).toBe(true);
    }),
  );
});
