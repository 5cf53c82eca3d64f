// Tests random lives of two servers that change their roles, which testing/role-lives.ts makes and judges. RUNS sets the number of lives, and
// SEED sets the first seed. Rules: T7 to T10, G48.

import { expect, test } from 'vitest';
import { roleLife } from '../../testing/role-lives.ts';

const RUNS = Number(process.env['RUNS'] ?? 25);
const SEED = Number(process.env['SEED'] ?? 1);

test('a role change ends, and loses no write, through every crash', async () => {
  for (let seed = SEED; seed < SEED + RUNS; seed++) expect(await roleLife(seed), `seed ${seed}`).toBe(null);
});
