// Tests random lives of two servers at which people give any order at any time, which testing/order-lives.ts makes and testing/site-judge.ts
// judges. RUNS sets the number of lives, and SEED sets the first seed. Rules: T1, T4, T6 to T10, G48.

import { expect, test } from 'vitest';
import { orderLife } from '../../testing/order-lives.ts';

const RUNS = Number(process.env['RUNS'] ?? 12);
const SEED = Number(process.env['SEED'] ?? 1);

test('no order, fault or old message loses a write, changes a role that nobody has ordered, or leads to a dead end', async () => {
  for (let seed = SEED; seed < SEED + RUNS; seed++) expect(await orderLife(seed), `seed ${seed}`).toBe(null);
});
