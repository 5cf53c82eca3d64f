// Ages of removed volumes: the time that the server has seen pass since a removal, by its monotonic clock. The age is saved in steps with
// the removal, and goes on from there after a restart, also at another server. Time during which no server had the pool open does not count.
// Invariant: the wall clock ages nothing, so that no wrong date at a start deletes a volume that somebody may want back.

import type { Clock } from '@rsio/common/lib/clock';
import type { PoolState } from './catalogue.ts';
import type { RemovedVolume } from './disk/pool-scan.ts';
import { REMOVED_AGE_STEP_MS, REMOVED_AGES_SAVED_MAX } from './limits.ts';

export interface AgedRemoval extends RemovedVolume {
  readonly pool: PoolState;
  readonly ageMs: number;
}

export class RemovalAges {
  private readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Maps a removal to the monotonic time at which its age was 0. */
  private zeros = new Map<string, number>();

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.clock = clock;
  }

  /** Returns the age of a removal. The first call for a removal begins with the saved age. */
  readonly of = (pool: PoolState, removed: RemovedVolume): number => {
    const [nowMs, key] = [this.clock.monotonicMs(), keyOf(pool, removed)];
    const zeroMs = this.zeros.get(key) ?? nowMs - (removed.removal.seenMs ?? 0);
    this.zeros.set(key, zeroMs);
    return Math.max(0, Math.floor(nowMs - zeroMs));
  };

  /** Returns all removed volumes with their ages. Forgets volumes that are not removed any more. */
  all(pools: readonly PoolState[]): AgedRemoval[] {
    const all = pools.flatMap((pool) => [...pool.removed.values()].map((one) => ({ ...one, pool, ageMs: this.of(pool, one) })));
    const present = new Set(all.map((one) => keyOf(one.pool, one)));
    for (const key of this.zeros.keys()) if (!present.has(key)) this.zeros.delete(key);
    return all;
  }
}

/** Returns the removals whose ages are to be saved now: a bounded number, those first that would lose the most by a restart. */
export function agesToSave(all: readonly AgedRemoval[]): AgedRemoval[] {
  const unsavedMs = ({ ageMs, removal }: AgedRemoval): number => ageMs - (removal.seenMs ?? 0);
  return all
    .filter((one) => one.pool.trouble === null && unsavedMs(one) >= REMOVED_AGE_STEP_MS)
    .toSorted((a, b) => unsavedMs(b) - unsavedMs(a))
    .slice(0, REMOVED_AGES_SAVED_MAX);
}

function keyOf({ name, identity }: PoolState, { manifest, removal }: RemovedVolume): string {
  return `${identity?.id ?? name} ${manifest.id} ${removal.removedMs}`;
}
