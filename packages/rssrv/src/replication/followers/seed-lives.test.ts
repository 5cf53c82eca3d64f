// Tests random lives of followers with content that was carried to their server, which testing/seed-lives.ts makes and judges. RUNS sets the
// number of lives, and SEED sets the first seed. Rules: T2, T3, T11.

import { expect, test } from 'vitest';
import { seedLife } from '../../testing/seed-lives.ts';

const RUNS = Number(process.env['RUNS'] ?? 25);
const SEED = Number(process.env['SEED'] ?? 1);

test('a follower has only moments of its source, whatever was carried to it', async () => {
  for (let seed = SEED; seed < SEED + RUNS; seed++) expect(await seedLife(seed), `seed ${seed}`).toBe(null);
});
