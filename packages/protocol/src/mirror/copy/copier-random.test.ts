// Tests the copier in hundreds of random simulations of a mirror. Users write, replicas crash, lose sessions, leave and return, and writes
// are abandoned while regions are settled, copied and cleared. After each step, the replicas in sync must be equal in settled regions, and
// a region that no intent map contains must have the same content on every disk. In the end, all replicas must be in sync, and all regions
// settled and cleared. Rules: M3, M7, M9, M12, M13, M20, M21, G33.

import { expect, test } from 'vitest';
import { beyondLife } from '../../testing/mirror-beyond-lives.ts';
import { live } from '../../testing/mirror-copy-lives.ts';

const SEEDS = Number(process.env['COPIER_SEEDS'] ?? 300);
const FIRST_SEED = Number(process.env['COPIER_FIRST_SEED'] ?? 1);

test('replicas in sync are equal, and nothing is cleared that is not the same everywhere', () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) expect(live(seed)).toBeNull();
});

test('that holds also while the volume grows', () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS / 2; seed++) expect(live(seed, true)).toBeNull();
});

test('a clearing of the last region excludes changes of what is added to it', () => {
  expect(live(1069, true)).toBeNull();
});

test('that holds also if a replica is larger than the mirror, which grows over what it has there', () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS / 3; seed++) expect(beyondLife(seed)).toBeNull();
});
