// Tests the sizes and the reuse of buffers,
// and the bound on idle buffers.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BODY_MAX_BYTES } from '../lib/limits.ts';
import { BufferPool } from './buffer-pool.ts';

test('a buffer has the requested length, and at most twice that in memory beyond 4 KiB, also when it is reused', () => {
  const pool = new BufferPool(64 * BODY_MAX_BYTES);
  const length = fc.oneof(
    fc.integer({ min: 1, max: 2 * BODY_MAX_BYTES }),
    fc.constantFrom(1, 4096, 4097, 8192, BODY_MAX_BYTES, BODY_MAX_BYTES + 1),
  );
  fc.assert(
    fc.property(length, (lengthBytes) => {
      const buffer = pool.take(lengthBytes);
      expect(buffer.length).toBeGreaterThanOrEqual(lengthBytes);
      expect(buffer.length).toBeLessThan(Math.max(4097, 2 * lengthBytes));
      pool.giveBack(buffer);
    }),
  );
});

test('a returned buffer is reused, and none has two users', () => {
  const pool = new BufferPool(BODY_MAX_BYTES);
  const first = pool.take(5000);
  pool.giveBack(first);
  const again = pool.take(8000);
  expect(again === first).toBe(true);
  expect(pool.take(8000) === again).toBe(false);
});

test('kept buffers are bounded', () => {
  const pool = new BufferPool(8192);
  const lent = [1, 2, 3].map(() => pool.take(4096));
  for (const buffer of lent) pool.giveBack(buffer);
  const again = [1, 2, 3].map(() => pool.take(4096));
  expect(again.filter((buffer) => lent.includes(buffer)).length).toBe(2);
});

test('a buffer larger than the largest class is not kept', () => {
  const pool = new BufferPool(64 * BODY_MAX_BYTES);
  const large = pool.take(BODY_MAX_BYTES + 1);
  pool.giveBack(large);
  expect(pool.take(BODY_MAX_BYTES + 1) === large).toBe(false);
});
