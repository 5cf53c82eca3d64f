// A worker process of a campaign: runs its seeds one after the other and sends each result to the parent. It ends when its time is over,
// its last seed is done, or its parent has ended.

import { systemClock } from '@rsio/common/lib/clock';
import { isMirrorSeed } from '../world/sim-shape.ts';
import { runSeed } from './run-seed.ts';

const [from = 1, step = 1, to = 0, forMs = 0, onlyMirrors = 0] = process.argv.slice(2).map(Number);
const endMs = forMs > 0 ? systemClock.monotonicMs() + forMs : Number.POSITIVE_INFINITY;
const lastSeed = to > 0 ? to : Number.MAX_SAFE_INTEGER;

process.once('disconnect', () => process.exit(1));
for (let seed = from; seed <= lastSeed && systemClock.monotonicMs() < endMs; seed += step) {
  if (onlyMirrors === 1 && !isMirrorSeed(seed)) continue;
  const result = await runSeed(seed);
  await new Promise((resolve) => process.send?.(result, resolve));
}
process.removeAllListeners('disconnect');
process.disconnect();
