// A worker process of a campaign: runs the seeds that its parent hands out, one after the other, and sends each result back. With the
// argument `farms`, it runs worlds of farms. The worker ends when its parent disconnects or ends.

import { type FarmResult, runFarmSeed } from '../farm/farm-world.ts';
import type { WorkerResult } from './campaign.ts';
import { runSeed, type SeedResult } from './run-seed.ts';

const US_PER_MS = 1000;

const runOne: (seed: number) => Promise<SeedResult | FarmResult> = process.argv[2] === 'farms' ? runFarmSeed : runSeed;

async function run(seed: number): Promise<void> {
  const before = process.cpuUsage();
  const result = await runOne(seed);
  const { user, system } = process.cpuUsage(before);
  process.send?.({ ...result, cpuMs: (user + system) / US_PER_MS } satisfies WorkerResult<SeedResult | FarmResult>);
}

process.once('disconnect', () => process.exit());
process.on('message', (seed: number) => void run(seed));
