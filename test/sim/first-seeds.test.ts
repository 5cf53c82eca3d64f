// Consecutive seeds of the simulator, first half. A seed that fails replays with `pnpm sim --seed N --trace`.
// Seeds that once found something stand in found-seeds.test.ts.

import { test } from 'vitest';
import { expectSeeds } from './seed-range.ts';

test('seeds 1 to 150', { timeout: 300_000 }, () => expectSeeds(1, 150));
