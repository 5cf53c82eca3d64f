// Copies the differences between two clones of a volume to the new pool: one round of a move. Invariants: before a position is saved, the
// copy is durable up to this position; a copy is continued only if resumePoint accepts the state of the move. Rules: C5.

import { type FileHandle, open } from 'node:fs/promises';
import type { Clock } from '@rsio/base/lib/clock';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import type { MoveState } from '../job-record.ts';
import type { RunningJob } from '../jobs.ts';
import { MOVE_STEP_MS } from '../limits.ts';
import { type PoolState, volumeText } from '../../pools/catalogue.ts';
import { poolPaths } from '../../pools/disk/pool-paths.ts';
import type { Pools } from '../../pools/pools.ts';
import { cloneFiles, type MoveFiles, stampOf } from '../../pools/moves/move-files.ts';
import { noReflink } from '../clone-need.ts';
import { isWithoutReflink } from '../../pools/snapshots/reflink.ts';
import type { SnapshotRecord } from '../../pools/snapshots/snapshot-record.ts';
import { type CopyPorts, copyRanges } from './copy-ranges.ts';
import type { MovePlace } from './move-kind.ts';
import { resumePoint } from './move-plan.ts';
import { VolumeContent } from './volume-content.ts';

export class MoveRounds {
  private readonly clock: Clock;
  private readonly pools: Pools;
  private readonly place: MovePlace;
  private readonly copying: CopyPorts;

  constructor(clock: Clock, pools: Pools, place: MovePlace, copying: CopyPorts) {
    this.clock = clock;
    this.pools = pools;
    this.place = place;
    this.copying = copying;
  }

  /**
   * Executes one round. If `snapshot` is not null, the copy gets the content of this snapshot, and the new pool gets the snapshot. If
   * `snapshot` is null, the copy gets the current content of the volume. Returns the number of copied bytes, and the speed.
   */
  async round(job: RunningJob, snapshot: SnapshotRecord | null): Promise<{ readonly bytes: number; readonly bytesPerSecond: number }> {
    const { found, target } = this.place;
    const { id, sizeBytes, thick } = found.manifest;
    const { state, isNew } = await this.prepared(job, snapshot);
    await this.onDisk(target, (files) => files.extend(id, sizeBytes, thick));
    const sinceMs = this.clock.monotonicMs();
    const bytes = await this.copy(job, state);
    const seconds = Math.max(1, this.clock.monotonicMs() - sinceMs) / 1_000;
    // The content of a clone that was made before a restart may differ from `snapshot`. The copy then gets the content of the clone, and
    // the next round copies `snapshot`.
    if (snapshot !== null && isNew) await this.onDisk(target, (files) => files.carry(snapshot));
    await this.onDisk(found.pool, (files) => files.nextIsCopied(id));
    job.note({ move: { ...state, baseStamp: state.nextStamp, nextStamp: null, positionBytes: 0 }, rounds: job.record.rounds + 1 });
    await job.save();
    return { bytes, bytesPerSecond: Math.round(bytes / seconds) };
  }

  /** Makes the files of the round, or finds them after a restart: the copy, and the clone that is the source of the copy. */
  private async prepared(
    job: RunningJob,
    snapshot: SnapshotRecord | null,
  ): Promise<{ readonly state: MoveState; readonly isNew: boolean }> {
    const { target } = this.place;
    const { pool, manifest } = this.place.found;
    const { id, sizeBytes, thick } = manifest;
    const clones = cloneFiles(pool.path, id);
    const found = {
      copy: await stampOf(poolPaths.data(poolPaths.movingVolume(target.path, id))),
      base: await stampOf(clones.base),
      next: await stampOf(clones.next),
    };
    let state = job.record.move;
    switch (resumePoint(state, found)) {
      case 'restart':
        for (const one of [pool, target]) await this.onDisk(one, (files) => files.discard(id));
        state = {
          copyStamp: await this.onDisk(target, (files) => files.begin(id, sizeBytes, thick)),
          baseStamp: null,
          nextStamp: null,
          positionBytes: 0,
        };
        if (state.copyStamp === null)
          throw new RsError(
            'E_VOLUME',
            `Files of pool ${target.name} cannot be told from each other: use a file system with lasting inode numbers`,
          );
        if (snapshot !== null) await this.onDisk(target, (files) => files.checkReflink(id));
        break;
      case 'copied':
        state = { ...state!, baseStamp: state!.nextStamp, nextStamp: null, positionBytes: 0 };
        break;
      case 'clone-again':
      case 'go-on':
    }
    // The state must be on disk before the clone is made, so that after any stop the state describes every file.
    job.note({ move: state });
    await job.save();
    if (state!.nextStamp !== null) return { state: state!, isNew: false };
    const nextStamp = await this.cloned(pool, id, sizeBytes, snapshot);
    const next: MoveState = { ...state!, nextStamp, positionBytes: 0 };
    job.note({ move: next });
    await job.save();
    return { state: next, isNew: true };
  }

  private onDisk<T>(pool: PoolState, work: (files: MoveFiles) => Promise<T>): Promise<T> {
    return this.pools.onDisk(pool, MOVE_STEP_MS, (files) => work(this.place.files(files)));
  }

  private async cloned(pool: PoolState, id: string, sizeBytes: number, snapshot: SnapshotRecord | null): Promise<string | null> {
    try {
      return await this.onDisk(pool, (files) => files.makeNext(id, sizeBytes, snapshot));
    } catch (thrown) {
      const errno = errnoName(thrown) ?? errnoName((thrown as { cause?: unknown }).cause);
      if (!isWithoutReflink(errno)) throw thrown;
      throw noReflink(volumeText(this.place.found.manifest), pool.name, 'moved', thrown);
    }
  }

  private async copy(job: RunningJob, state: MoveState): Promise<number> {
    const { found, target } = this.place;
    const { pool, manifest } = found;
    const { id, sizeBytes } = manifest;
    const clones = cloneFiles(pool.path, id);
    const files: FileHandle[] = [];
    const opened = async (file: string, flags: string): Promise<FileHandle> => {
      const handle = await open(file, flags);
      files.push(handle);
      return handle;
    };
    try {
      const base = state.baseStamp === null ? null : new VolumeContent([await opened(clones.base, 'r')]);
      const next = new VolumeContent([await opened(clones.next, 'r')]);
      const copy = await opened(poolPaths.data(poolPaths.movingVolume(target.path, id)), 'r+');
      return await copyRanges(
        this.copying,
        job,
        { base, next, copy },
        { fromBytes: state.positionBytes, toBytes: sizeBytes },
        (positionBytes) => {
          job.note({ move: { ...state, positionBytes } });
          return job.save();
        },
      );
    } finally {
      for (const file of files) await file.close();
    }
  }
}
