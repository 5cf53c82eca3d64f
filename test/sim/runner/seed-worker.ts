// A worker process of a campaign: runs the seeds that its parent hands out, one after the other, and sends each result back. The worker
// ends when its parent disconnects or ends.

import type { WorkerResult } from './campaign.ts';
import { runSeed } from './run-seed.ts';

const US_PER_MS = 1000;

async function run(seed: number): Promise<void> {
  const before = process.cpuUsage();
  const result = await runSeed(seed);
  const { user, system } = process.cpuUsage(before);
  process.send?.({ ...result, cpuMs: (user + system) / US_PER_MS } satisfies WorkerResult);
}

process.once('disconnect', () => process.exit());
process.on('message', (seed: number) => void run(seed));
