// Consecutive seeds of the simulator, first half. A seed that fails replays with `pnpm sim --seed N --trace`.
// The second half is in second-seeds.test.ts, so that each half has a core of its own.

import { test } from 'vitest';
import { expectSeeds } from './seed-range.ts';

test('seeds 1 to 150', { timeout: 300_000 }, () => expectSeeds(1, 150));
