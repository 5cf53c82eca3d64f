// Takes samples of the used space of the pools, and keeps them in the state folder of the server, by the id of the pool. Invariant: the
// times of samples are a count of time that goes on by the monotonic clock, so that a clock that is set reorders nothing. Only the time
// between two runs of the server comes from the wall clock; if that clock was set back, the earlier samples are dropped.

import { StateFile } from '@rsio/base/files/state-file';
import type { Clock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { integer, map, object, type Of } from '@rsio/base/lib/shape';
import type { Log } from '@rsio/base/log/log';
import { type PoolState, usableBytes } from '../catalogue.ts';
import { PACE_POOLS_MAX, PACE_SET_BACK_MAX_MS } from '../limits.ts';
import { type Growth, growthOf, isDue, kept, paceOf, type Sample, SAMPLES } from './pool-pace.ts';

/** `wallMs` and `countMs`: the wall clock and the count of time when the file was written. */
const CONTENT = object({ wallMs: integer(), countMs: integer(), pools: map(SAMPLES) });
const REMEDY = 'remove it; the paces of the pools are then known again after some days';
const UNKNOWN: Growth = { weekBytes: null, monthBytes: null };

type Measured = Pick<PoolState, 'identity' | 'space' | 'trouble' | 'reserve'>;

interface Known {
  readonly samples: readonly Sample[];
  readonly growth: Growth;
}

export class PoolPaces {
  private readonly clock: Pick<Clock, 'monotonicMs' | 'wallMs'>;
  private readonly log: Pick<Log, 'warn'>;
  private readonly file: StateFile<Of<typeof CONTENT>>;
  /** Monotonic time at which the count of time was 0. */
  private zeroMs: number;
  private pools: ReadonlyMap<string, Known> = new Map();

  /** `path`: the state file. */
  constructor(path: string, clock: Pick<Clock, 'monotonicMs' | 'wallMs'>, log: Pick<Log, 'warn'>) {
    this.clock = clock;
    this.log = log;
    this.zeroMs = clock.monotonicMs();
    this.file = new StateFile(path, { version: 1, shape: CONTENT, remedy: REMEDY }, () => ({
      wallMs: Math.round(clock.wallMs()),
      countMs: this.countMs,
      pools: Object.fromEntries([...this.pools].map(([id, { samples }]) => [id, samples])),
    }));
  }

  private get countMs(): number {
    return Math.round(this.clock.monotonicMs() - this.zeroMs);
  }

  /** Loads the file. If the file cannot be used, logs a warning and begins without samples, because no data depends on them. */
  async load(): Promise<void> {
    try {
      const content = await this.file.load();
      if (content === null) return;
      const awayMs = this.clock.wallMs() - content.wallMs;
      if (awayMs < -PACE_SET_BACK_MAX_MS) return;
      this.zeroMs = this.clock.monotonicMs() - content.countMs - Math.max(0, awayMs);
      this.pools = this.known(Object.entries(content.pools));
    } catch (thrown) {
      this.log.warn(toRsError(thrown).message);
    }
  }

  /** Called after each measurement of the pools. Takes the samples that are due, and saves them. */
  note(pools: readonly Measured[]): void {
    const nowMs = this.countMs;
    const due = pools.flatMap(({ identity, space, trouble }) => {
      if (identity === null || space === null || trouble !== null) return [];
      const samples = this.pools.get(identity.id)?.samples ?? [];
      return isDue(samples, nowMs) ? [{ id: identity.id, samples, usedBytes: space.totalBytes - space.freeBytes }] : [];
    });
    if (due.length === 0) return;
    const next = new Map([...this.pools].map(([id, { samples }]) => [id, samples]));
    for (const { id, samples, usedBytes } of due) next.set(id, [...kept(samples, nowMs), { atMs: nowMs, usedBytes }]);
    this.pools = this.known([...next]);
    void this.file.save().catch((thrown: unknown) => this.log.warn(toRsError(thrown).message));
  }

  /** Returns the samples that are not too old, of at most PACE_POOLS_MAX pools. */
  private known(all: readonly (readonly [string, readonly Sample[]])[]): ReadonlyMap<string, Known> {
    const nowMs = this.countMs;
    const some = all.map(([id, samples]) => [id, kept(samples, nowMs)] as const).filter(([, samples]) => samples.length > 0);
    const newest = some.toSorted(([, a], [, b]) => b.at(-1)!.atMs - a.at(-1)!.atMs).slice(0, PACE_POOLS_MAX);
    return new Map(newest.map(([id, samples]) => [id, { samples, growth: growthOf(samples, nowMs) }]));
  }

  of(pool: PoolState): ReturnType<typeof paceOf> {
    const isMeasured = pool.identity !== null && pool.space !== null && pool.trouble === null;
    const known = isMeasured ? this.pools.get(pool.identity.id) : undefined;
    return paceOf(known?.growth ?? UNKNOWN, isMeasured ? usableBytes(pool) : null);
  }
}
