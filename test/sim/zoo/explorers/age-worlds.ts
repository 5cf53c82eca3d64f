// The ages of removed volumes (removal-ages.ts of rssrv) under wall clocks that jump, with restarts between the looks. Invariant: a removed
// volume is deleted only after servers have seen REMOVED_KEPT_MS pass since its removal, whatever the date is.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { PoolState } from '@rsio/rssrv/pools/catalogue';
import type { Removal } from '@rsio/rssrv/pools/disk/manifest';
import { REMOVED_AGE_STEP_MS, REMOVED_KEPT_MS } from '@rsio/rssrv/pools/limits';
import { RemovalAges } from '@rsio/rssrv/pools/removal-ages';

const [LOOKS, JUMP_MS] = [200, 365 * 24 * 3_600_000];

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export async function ageWorld(seed: number): Promise<string | null> {
  const random = new SeededRandom(seed);
  const clock = new FakeClock();
  const manifest = { id: 'id', name: 'db', universe: 0 };
  let removal = { removedMs: clock.wallMs(), seenMs: 0 } as unknown as Removal;
  const removed = new Map<string, unknown>([['id', { manifest, removal }]]);
  const pool = { name: 'fast', identity: null, trouble: null, removed } as unknown as PoolState;
  let ages = new RemovalAges(clock);
  const beganMs = clock.monotonicMs();
  let fault: string | null = null;
  for (let look = 0; look < LOOKS && removed.size > 0; look++) {
    clock.advance(REMOVED_AGE_STEP_MS);
    if (random.chance(0.1)) clock.jumpWall(random.pick([JUMP_MS, -JUMP_MS]));
    if (random.chance(0.1)) ages = new RemovalAges(clock);
    await ages.tend({
      pools: () => [pool],
      isKept: () => false,
      purge: () => {
        const seenMs = clock.monotonicMs() - beganMs;
        if (seenMs < REMOVED_KEPT_MS) fault = `G15: a removed volume was deleted after ${seenMs / 3_600_000} h`;
        removed.clear();
        return Promise.resolve();
      },
      save: (_one, next) => {
        removal = next;
        removed.set('id', { manifest, removal });
        return Promise.resolve();
      },
      failed: (text) => (fault = text),
    });
  }
  return fault;
}
