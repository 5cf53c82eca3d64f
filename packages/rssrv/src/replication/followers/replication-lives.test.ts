// Tests random lives of a replication, which testing/replication-lives.ts makes and judges. RUNS sets the number of lives, and SEED sets the
// first seed. Rules: T1 to T8, G48.

import { expect, test } from 'vitest';
import { replicationLife } from '../../testing/replication-lives.ts';

const RUNS = Number(process.env['RUNS'] ?? 25);
const SEED = Number(process.env['SEED'] ?? 1);

test('a follower has only moments of its source, through every crash', async () => {
  for (let seed = SEED; seed < SEED + RUNS; seed++) expect(await replicationLife(seed), `seed ${seed}`).toBe(null);
});
