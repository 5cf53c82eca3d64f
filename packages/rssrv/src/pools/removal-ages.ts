// Ages of removed volumes: the time that the server has seen pass since a removal, by its monotonic clock. The age is saved in steps with
// the removal, and goes on from there after a restart, also at another server. Time during which no server had the pool open does not count.
// Invariant: the wall clock ages nothing, so that no wrong date at a start deletes a volume that somebody may want back.

import type { Clock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { type PoolState, volumeText } from './catalogue.ts';
import type { Manifest, Removal } from './disk/manifest.ts';
import type { RemovedVolume } from './disk/pool-scan.ts';
import { REMOVED_AGE_STEP_MS, REMOVED_AGES_SAVED_MAX, REMOVED_KEPT_MS } from './limits.ts';

export interface AgedRemoval extends RemovedVolume {
  readonly pool: PoolState;
  readonly ageMs: number;
}

/** What `RemovalAges.tend` needs from the owner of the pools. */
export interface RemovalSteps {
  pools(): readonly PoolState[];
  /** True for a removed volume that must not be deleted now. */
  isKept(manifest: Manifest): boolean;
  purge(one: AgedRemoval): Promise<void>;
  save(one: AgedRemoval, removal: Removal): Promise<void>;
  failed(text: string): void;
}

export class RemovalAges {
  private readonly clock: Pick<Clock, 'monotonicMs' | 'wallMs'>;
  /** Maps a removal to the monotonic time at which its age was 0. */
  private readonly zeros = new Map<string, number>();

  constructor(clock: Pick<Clock, 'monotonicMs' | 'wallMs'>) {
    this.clock = clock;
  }

  /** Returns the age of a removal. The first call for a removal begins with the saved age. */
  readonly of = (pool: PoolState, removed: RemovedVolume): number => {
    const [nowMs, key] = [this.clock.monotonicMs(), keyOf(pool, removed)];
    const zeroMs = this.zeros.get(key) ?? nowMs - (removed.removal.seenMs ?? 0);
    this.zeros.set(key, zeroMs);
    return Math.max(0, Math.floor(nowMs - zeroMs));
  };

  /** Returns the age of a removal, and the time by the wall clock at which it is to be deleted. Only shown: `tend` decides. */
  times(pool: PoolState, removed: RemovedVolume): { readonly ageMs: number; readonly untilMs: number } {
    const ageMs = this.of(pool, removed);
    return { ageMs, untilMs: this.clock.wallMs() + Math.max(0, REMOVED_KEPT_MS - ageMs) };
  }

  /** Deletes removed volumes whose age is REMOVED_KEPT_MS, and saves the ages of others. A failure does not stop the work on others. */
  async tend(steps: RemovalSteps): Promise<void> {
    const all = this.all(steps.pools());
    const isExpired = ({ ageMs, manifest }: AgedRemoval): boolean => ageMs >= REMOVED_KEPT_MS && !steps.isKept(manifest);
    const kept = all.filter((one) => !isExpired(one));
    await each(all.filter(isExpired), steps, 'cannot be deleted', (one) => steps.purge(one));
    await each(agesToSave(kept), steps, 'is kept for longer, because its age cannot be saved', (one) =>
      steps.save(one, { ...one.removal, seenMs: one.ageMs }),
    );
  }

  /** Returns all removed volumes with their ages. Forgets volumes that are not removed any more. */
  private all(pools: readonly PoolState[]): AgedRemoval[] {
    const all = pools.flatMap((pool) => [...pool.removed.values()].map((one) => ({ ...one, pool, ageMs: this.of(pool, one) })));
    const present = new Set(all.map((one) => keyOf(one.pool, one)));
    for (const key of this.zeros.keys()) if (!present.has(key)) this.zeros.delete(key);
    return all;
  }
}

async function each(
  all: readonly AgedRemoval[],
  steps: RemovalSteps,
  failure: string,
  work: (one: AgedRemoval) => Promise<void>,
): Promise<void> {
  for (const one of all) {
    // The pool may have stopped answering during the work before.
    if (steps.pools().find(({ name }) => name === one.pool.name)?.trouble !== null) continue;
    try {
      await work(one);
    } catch (thrown) {
      steps.failed(`Removed volume ${volumeText(one.manifest)} of pool ${one.pool.name} ${failure}: ${toRsError(thrown).message}`);
    }
  }
}

/** Returns the removals whose ages are to be saved now: a bounded number, those first that would lose the most by a restart. */
function agesToSave(all: readonly AgedRemoval[]): AgedRemoval[] {
  const unsavedMs = ({ ageMs, removal }: AgedRemoval): number => ageMs - (removal.seenMs ?? 0);
  return all
    .filter((one) => one.pool.trouble === null && unsavedMs(one) >= REMOVED_AGE_STEP_MS)
    .toSorted((a, b) => unsavedMs(b) - unsavedMs(a))
    .slice(0, REMOVED_AGES_SAVED_MAX);
}

function keyOf({ name, identity }: PoolState, { manifest, removal }: RemovedVolume): string {
  return `${identity?.id ?? name} ${manifest.id} ${removal.removedMs}`;
}
