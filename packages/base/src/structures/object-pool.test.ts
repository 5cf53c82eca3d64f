// Tests a pool of objects:
// returned objects are reset and reused, and the number of idle objects is bounded.

import { expect, test } from 'vitest';
import { ObjectPool } from './object-pool.ts';

test('objects are reused after a reset, and a bounded number is kept', () => {
  let made = 0;
  const pool = new ObjectPool(
    1,
    () => ({ number: ++made, fill: 0 }),
    (object) => {
      object.fill = 0;
    },
  );
  const [first, second] = [pool.take(), pool.take()];
  first.fill = 7;
  expect([first.number, second.number, pool.inUse]).toEqual([1, 2, 2]);
  pool.giveBack(first);
  pool.giveBack(second);
  expect([first.fill, pool.inUse]).toEqual([0, 0]);
  expect(pool.take()).toBe(first);
  expect(pool.take().number).toBe(3);
});
