// A worker process of a campaign: runs its seeds one after the other and sends each result to the parent. It ends when its time is over,
// its last seed is done, or its parent has ended.

import { systemClock } from '@rsio/common/lib/clock';
import { isMirrorSeed } from '../world/sim-shape.ts';
import type { WorkerResult } from './campaign.ts';
import { runSeed } from './run-seed.ts';

const US_PER_MS = 1000;

const [from = 1, step = 1, to = 0, forMs = 0, onlyMirrors = 0] = process.argv.slice(2).map(Number);
const endMs = forMs > 0 ? systemClock.monotonicMs() + forMs : Number.POSITIVE_INFINITY;
const lastSeed = to > 0 ? to : Number.MAX_SAFE_INTEGER;

process.once('disconnect', () => process.exit(1));
for (let seed = from; seed <= lastSeed && systemClock.monotonicMs() < endMs; seed += step) {
  if (onlyMirrors === 1 && !isMirrorSeed(seed)) continue;
  const before = process.cpuUsage();
  const result = await runSeed(seed);
  const { user, system } = process.cpuUsage(before);
  await new Promise((resolve) => process.send?.({ ...result, cpuMs: (user + system) / US_PER_MS } satisfies WorkerResult, resolve));
}
process.removeAllListeners('disconnect');
process.disconnect();
