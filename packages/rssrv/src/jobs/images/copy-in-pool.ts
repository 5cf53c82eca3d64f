// Makes the file for a copy between a volume and its image. to-image.ts and from-image.ts fill the file. It is in the target pool's folder
// `moving` until it is complete. Invariant: a job continues only a file that the job itself has made.

import { RsError } from '@rsio/common/lib/errors';
import { stateOf } from '../copies/copy-source.ts';
import type { JobRecord } from '../job-record.ts';
import { JobEnds, type RunningJob } from '../jobs.ts';
import { MOVE_STEP_MS, SAVE_EVERY_BYTES } from '../limits.ts';
import { type PoolState, usableBytes } from '../../pools/catalogue.ts';
import type { PoolFiles } from '../../pools/disk/pool-files.ts';
import { poolPaths } from '../../pools/disk/pool-paths.ts';
import { MoveFiles, stampOf } from '../../pools/moves/move-files.ts';
import type { Pools } from '../../pools/pools.ts';

/** Initial content of a copy: a file with known content in the target pool. */
export interface CopyBase {
  /** Identifies the content. */
  readonly key: string;
  readonly file: string;
}

export class CopyInPool {
  private readonly pools: Pools;

  constructor(pools: Pools) {
    this.pools = pools;
  }

  /**
   * Makes the file of the copy. If the job made the file before a restart, finds this file instead. `from` in the result is the content
   * with which the file began; null if the file began with zeros.
   */
  async prepared<Base extends CopyBase>(
    job: RunningJob,
    pool: PoolState,
    id: string,
    sizeBytes: number,
    base: Base | null,
  ): Promise<{ readonly copyStamp: string; readonly from: Base | null }> {
    const state = stateOf(job.record);
    const file = poolPaths.data(poolPaths.movingVolume(pool.path, id));
    const found = await this.onDisk(pool, () => stampOf(file));
    if (found !== null && found === state.copyStamp && (state.base ?? null) === null) return { copyStamp: found, from: null };
    if (found !== null && found === state.copyStamp && state.base === base?.key) return { copyStamp: found, from: base };
    await this.onDisk(pool, (files) => new MoveFiles(files).discard(id));
    const isBegun = base !== null && (await this.onDisk(pool, (files) => new MoveFiles(files).beginAs(id, base.file, sizeBytes)));
    const copyStamp = isBegun ? await stampOf(file) : await this.onDisk(pool, (files) => new MoveFiles(files).begin(id, sizeBytes, false));
    if (copyStamp === null)
      throw new RsError(
        'E_VOLUME',
        `Files of pool ${pool.name} cannot be told from each other: use a file system with lasting inode numbers`,
      );
    job.note({ copy: { ...state, copyStamp, base: isBegun ? base.key : null, positionBytes: 0 }, doneBytes: 0 });
    await job.save();
    return { copyStamp, from: isBegun ? base : null };
  }

  /**
   * Saves a position up to which the copy is durable. Throws E_SPACE if the pool is nearly full, because writes of clients to a full pool
   * would wait.
   */
  async reached(job: RunningJob, positionBytes: number): Promise<void> {
    await this.save(job, positionBytes);
    const { record } = job;
    if (usableBytes(this.poolOf(record)) >= Math.min(SAVE_EVERY_BYTES, record.totalBytes - record.doneBytes)) return;
    throw new RsError(
      'E_SPACE',
      `The copy of volume ${record.name} was ended before it fills pool ${record.to}: make room there, and repeat it`,
    );
  }

  async save(job: RunningJob, positionBytes: number): Promise<void> {
    job.note({ copy: { ...stateOf(job.record), positionBytes } });
    await job.save();
  }

  /** Deletes the copy. If that fails, the next sweep of moves (volume-moves.ts) deletes it. */
  async discard(record: JobRecord, id: string): Promise<void> {
    const pool = this.pools.states.find((one) => one.isOpen && one.trouble === null && one.identity?.id === record.toId);
    if (pool !== undefined) await this.onDisk(pool, (files) => new MoveFiles(files).discard(id)).catch(() => undefined);
  }

  /** Returns the target pool of a job. Throws JobEnds if the pool cannot be used now. */
  poolOf({ toId, to }: JobRecord): PoolState {
    const pool = this.pools.states.find((one) => one.isOpen && one.trouble === null && one.identity?.id === toId);
    if (pool !== undefined) return pool;
    throw new JobEnds({ kind: 'waits', reason: `pool ${to} cannot be used now` });
  }

  onDisk<T>({ name }: PoolState, work: (files: PoolFiles) => Promise<T>): Promise<T> {
    return this.pools.onDisk(name, MOVE_STEP_MS, work);
  }
}
