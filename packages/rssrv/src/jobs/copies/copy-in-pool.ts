// Makes and fills the file for a copy of a snapshot in the target pool of a job: a new volume (to-volume.ts), an image (to-image.ts), or
// the content of an image for its volume (from-image.ts). The file is in the pool's folder `moving` until it is complete. Invariant: a job
// continues only a file that the job itself has made.

import { open, stat } from 'node:fs/promises';
import { RsError } from '@rsio/base/lib/errors';
import { checkLength } from './copied-file.ts';
import { type CopySource, stateOf } from './copy-source.ts';
import type { JobRecord } from '../job-record.ts';
import { JobEnds, type RunningJob } from '../jobs.ts';
import { MOVE_STEP_MS, SAVE_EVERY_BYTES } from '../limits.ts';
import { type CopyPorts, copyRanges } from '../moves/copy-ranges.ts';
import { VolumeContent } from '../moves/volume-content.ts';
import { type PoolState, usableBytes } from '../../pools/catalogue.ts';
import type { PoolFiles } from '../../pools/disk/pool-files.ts';
import { poolPaths } from '../../pools/disk/pool-paths.ts';
import { MoveFiles, stampOf } from '../../pools/moves/move-files.ts';
import type { Pools } from '../../pools/pools.ts';
import { filesOf } from '../../pools/snapshots/snapshot-record.ts';

/** Initial content of a copy: a file with known content in the target pool. */
export interface CopyBase {
  /** Identifies the content. */
  readonly key: string;
  readonly file: string;
  /** Size of the content in the file. */
  readonly sizeBytes: number;
}

/** A file that `prepared` has made. */
export interface PreparedCopy {
  /** Id of the folder of the file. */
  readonly id: string;
  readonly sizeBytes: number;
  /** Opens the content with which the file began; null if it began with zeros. Called when the files of the snapshot are open. */
  readonly openBase: () => Promise<VolumeContent | null>;
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
    const isBegun =
      base !== null &&
      (await this.onDisk(pool, (files) => new MoveFiles(files).beginAs(id, { from: base.file, fromBytes: base.sizeBytes }, sizeBytes)));
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

  /** Copies the snapshot `source` to the file. The content is durable when this method resolves. */
  async fill(ports: CopyPorts, job: RunningJob, source: CopySource, { id, sizeBytes, openBase }: PreparedCopy): Promise<void> {
    const next = await VolumeContent.open(source.files, filesOf(source.record).layout);
    const files: { close(): Promise<void> }[] = [next];
    try {
      await checkFiles(source);
      const copy = await open(poolPaths.data(poolPaths.movingVolume(this.poolOf(job.record).path, id)), 'r+');
      files.push(copy);
      // The volume that gets the copy may have grown since the copy was begun.
      if ((await copy.stat()).size < sizeBytes) await copy.truncate(sizeBytes);
      const base = await openBase();
      if (base !== null) files.push(base);
      const toBytes = Math.min(sizeBytes, source.record.sizeBytes);
      const range = { fromBytes: Math.min(stateOf(job.record).positionBytes, toBytes), toBytes };
      await copyRanges(ports, job, { base, next, copy }, range, (position) => this.reached(job, position));
    } finally {
      for (const file of files) await file.close();
    }
    await this.save(job, sizeBytes);
    job.check();
  }

  /**
   * Saves a position up to which the copy is durable. Throws E_SPACE if the pool is nearly full, because writes of clients to a full pool
   * would wait.
   */
  private async reached(job: RunningJob, positionBytes: number): Promise<void> {
    await this.save(job, positionBytes);
    const { record } = job;
    if (usableBytes(this.poolOf(record)) >= Math.min(SAVE_EVERY_BYTES, record.totalBytes - record.doneBytes)) return;
    throw new RsError(
      'E_SPACE',
      `The copy of volume ${record.name} was ended before it fills pool ${record.to}: make room there, and repeat it`,
    );
  }

  private async save(job: RunningJob, positionBytes: number): Promise<void> {
    job.note({ copy: { ...stateOf(job.record), positionBytes } });
    await job.save();
  }

  /** Deletes the copy. If the deletion fails, the next sweep of moves (volume-moves.ts) repeats it. */
  async discard(record: JobRecord, id: string): Promise<void> {
    const pool = this.usable(record);
    if (pool !== undefined) await this.onDisk(pool, (files) => new MoveFiles(files).discard(id)).catch(() => undefined);
  }

  /** Returns the target pool of a job. Throws JobEnds if the pool cannot be used now. */
  poolOf(record: JobRecord): PoolState {
    const pool = this.usable(record);
    if (pool !== undefined) return pool;
    throw new JobEnds({ kind: 'waits', reason: `pool ${record.to} cannot be used now` });
  }

  private usable({ toId }: JobRecord): PoolState | undefined {
    return this.pools.states.find((one) => one.isOpen && one.trouble === null && one.identity?.id === toId);
  }

  onDisk<T>(pool: PoolState, work: (files: PoolFiles) => Promise<T>): Promise<T> {
    return this.pools.onDisk(pool, MOVE_STEP_MS, work);
  }
}

/** Throws E_STORAGE if a file of the snapshot was cut, because a copy reads as zeros what a file lacks. */
async function checkFiles({ files, record }: CopySource): Promise<void> {
  const { layout } = filesOf(record);
  for (const [at, file] of files.entries()) {
    const { size } = await stat(file);
    checkLength(file, size, layout.kind === 'simple' ? record.sizeBytes : (layout.parts[at]?.sizeBytes ?? 0));
  }
}
