// Tests random lives of two servers with old images, wishes that are given up, set clocks and full pools, which testing/consent-lives.ts makes and
// judges, and those of a mirror that comes back from old images (testing/mirror-source-lives.ts). RUNS sets the number of lives, and SEED sets the first seed. Rules: T1, T4, T6, T8, T9, G48.

import { expect, test } from 'vitest';
import { consentLife } from '../../testing/consent-lives.ts';
import { mirrorSourceLife } from '../../testing/mirror-source-lives.ts';

const RUNS = Number(process.env['RUNS'] ?? 6);
const SEED = Number(process.env['SEED'] ?? 1);

test('nothing that only one server has is lost, and nobody takes a role without an order there', async () => {
  for (let seed = SEED; seed < SEED + RUNS; seed++) expect(await consentLife(seed), `seed ${seed}`).toBe(null);
});

test('the newest moment of the followers stays if the mirror does not know it', async () => {
  for (let seed = SEED; seed < SEED + RUNS; seed++) expect(await mirrorSourceLife(seed), `seed ${seed}`).toBe(null);
});
