// Executes each step of a change of snapshots on all files of a volume: on the first file, which is beside the manifest, and on the parts
// in other pools. The caller commits the change in the home of the volume, and must then call `settleParts`, even after a failure.
// Invariant: a part is marked as new (NEW_PREFIX) before the commit, and stays marked until after the commit. A stop therefore leaves
// either the whole change or no change.

import { open, stat } from 'node:fs/promises';
import { assert } from '@rsio/base/lib/assert';
import type { Found, PlacedPart, PoolState } from '../pools/catalogue.ts';
import { type Manifest, partSizes } from '../pools/disk/manifest.ts';
import type { PoolFiles } from '../pools/disk/pool-files.ts';
import { poolPaths } from '../pools/disk/pool-paths.ts';
import type { PoolVerbs } from '../pools/pool-verbs.ts';
import type { Pools } from '../pools/pools.ts';
import { cloneAll, type CloneSource, type FileCopy } from '../pools/snapshots/file-copy.ts';
import { PartSnapshots } from '../pools/snapshots/part-snapshots.ts';
import { SnapshotFiles } from '../pools/snapshots/snapshot-files.ts';
import { filesOf, snapshotPaths } from '../pools/snapshots/snapshot-record.ts';
import { withPending } from '../pools/repair/snapshot-repair.ts';
import { copyOfVolume, type VolumeCopy } from '../pools/snapshots/volume-copy.ts';
import { SNAPSHOT_CHANGE_MAX_MS, SNAPSHOT_CHANGE_MS, SNAPSHOT_MS_PER_GIB } from './limits.ts';
import { type FoundSnapshot, snapshotParts, snapshotSources } from './snapshot-rules.ts';

const GIB = 1024 ** 3;
const SECTOR_OF_STAT_BYTES = 512;

/** A prepared copy of a volume. `files` has the copy of each file of the volume. */
export interface OpenCopy {
  readonly copy: VolumeCopy;
  readonly files: readonly { readonly pool: PoolState; readonly copy: FileCopy }[];
}

export class PartSteps {
  private readonly verbs: PoolVerbs;
  private readonly pools: Pools;

  constructor(verbs: PoolVerbs) {
    this.verbs = verbs;
    this.pools = verbs.pools;
  }

  /**
   * Writes back dirty data of the volume before the turn of the change, so that `begin` has little left to write. The write-back may be
   * slow.
   */
  async writeBack(found: FoundSnapshot): Promise<void> {
    for (const { pool, path } of this.sources(found))
      await this.pools.onDisk(pool, limitMs(found.record), async () => {
        const handle = await open(path, 'r');
        try {
          await handle.datasync();
        } finally {
          await handle.close();
        }
      });
  }

  /** Prepares the copies of all files. The caller must close `copy`. */
  async begin({ pool: home, manifest, record }: FoundSnapshot): Promise<OpenCopy> {
    const { pools } = this;
    const sources = snapshotSources(this.verbs.catalogue, manifest);
    const parts = snapshotParts(this.verbs.catalogue, record);
    const files: { pool: PoolState; copy: FileCopy }[] = [];
    try {
      const first = await pools.onDisk(home, limitMs(record), (one) => new SnapshotFiles(one).begin(record));
      files.push({ pool: home, copy: first });
      for (const [index, { pool, record: part }] of parts.entries()) {
        const source = sources[index]?.record.fileId ?? '';
        // A failed `begin` may leave a part behind. `change` therefore reads the pool again after a failure.
        files.push({ pool, copy: await this.change(pool, part, (one) => new PartSnapshots(one).begin(source, part)) });
        pools.putPart(pool, { record: part, isNew: true });
      }
    } catch (thrown) {
      for (const { copy } of files) await copy.close();
      throw thrown;
    }
    const all = files.map(({ copy }) => copy);
    return { copy: copyOfVolume(filesOf(record).layout, record.sizeBytes, all), files };
  }

  /** Writes back the dirty data of the files a second time, so that little is left to write while changes are held. */
  async sync({ files }: OpenCopy): Promise<void> {
    for (const { pool, copy } of files) await this.pools.onDisk(pool, limitMs(copy), () => copy.sync());
  }

  /** Returns the bytes that the files of a volume occupy now. */
  async usedBytes(found: Found): Promise<number> {
    let sum = 0;
    for (const { pool, path } of this.sources(found))
      sum += await this.pools.onDisk(pool, SNAPSHOT_CHANGE_MS, async () => (await stat(path)).blocks * SECTOR_OF_STAT_BYTES);
    return sum;
  }

  /** Returns the path and the pool of each file of a volume. */
  private sources({ pool: home, manifest }: Found): readonly { readonly pool: PoolState; readonly path: string }[] {
    return [
      { pool: home, path: poolPaths.data(poolPaths.volume(home.path, manifest.id)) },
      ...snapshotSources(this.verbs.catalogue, manifest).map(({ pool, record }) => ({
        pool,
        path: poolPaths.data(poolPaths.part(pool.path, record.fileId)),
      })),
    ];
  }

  /**
   * Syncs the cloned copies. The caller calls `flush` in `turn.aside`, because a sync may be slow and `prepare` runs in the turn of the
   * change.
   */
  async flush({ pool: home, record }: FoundSnapshot): Promise<void> {
    const { pools } = this;
    for (const { pool, record: part } of snapshotParts(this.verbs.catalogue, record))
      await pools.onDisk(pool, limitMs(part), (files) => new PartSnapshots(files).flush(part));
    await pools.onDisk(home, limitMs(record), (files) => new SnapshotFiles(files).flush(record));
  }

  /**
   * Makes the cloned copies durable as a prepared snapshot. The snapshot then exists only if the commit in the home of the group succeeds.
   * Returns the snapshot with the bytes that it occupies.
   */
  async prepare(found: FoundSnapshot): Promise<FoundSnapshot> {
    const { pools } = this;
    const { pool: home, record } = found;
    let usedBytes = 0;
    for (const { pool, record: part } of snapshotParts(this.verbs.catalogue, record))
      usedBytes += await pools.onDisk(pool, limitMs(part), (files) => new PartSnapshots(files).prepare(part));
    const whole = await pools.onDisk(home, limitMs(record), (files) => new SnapshotFiles(files).prepare(record, usedBytes));
    assert(whole.id === record.id && whole.volumeId === record.volumeId, 'A prepared snapshot is another one than was begun');
    pools.putSnapshots(home, record.volumeId, (snapshots) => withPending(snapshots, whole));
    return { ...found, record: whole };
  }

  /**
   * Prepares a snapshot of a volume that no client writes to. The snapshot exists only once the caller has committed it in the home of
   * the volume.
   */
  async makePrepared(found: FoundSnapshot): Promise<FoundSnapshot> {
    const { copy, files } = await this.begin(found);
    try {
      for (const one of files) await this.pools.onDisk(one.pool, limitMs(one.copy), () => cloneAll(one.copy));
    } finally {
      await copy.close();
    }
    return this.prepare(found);
  }

  /** Marks parts as new again. Must be called before the manifest or description that names these parts is replaced or removed. */
  async doubt(parts: readonly PlacedPart[]): Promise<void> {
    for (const { pool, record } of parts) {
      await this.change(pool, { sizeBytes: 0 }, (files) => files.parts.doubt(record.fileId));
      this.pools.putPart(pool, { record, isNew: true });
    }
  }

  /** Clones the files of a snapshot for a new volume, in folders that other changes do not see. */
  async cloneAside({ pool: home, record: snapshot }: FoundSnapshot, planned: Omit<Manifest, 'stamps'>): Promise<void> {
    const [firstBytes = 0, ...others] = partSizes(planned);
    const clone = (pool: PoolState, from: CloneSource, index: number, sizeBytes: number): Promise<void> =>
      this.pools.onDisk(pool, limitMs({ sizeBytes }), (files) => new SnapshotFiles(files).cloneAside(planned.id, index, from, sizeBytes));
    const parts = snapshotParts(this.verbs.catalogue, snapshot);
    for (const [index, { pool, record }] of parts.entries())
      await clone(
        pool,
        { from: poolPaths.data(poolPaths.part(pool.path, record.fileId)), fromBytes: record.sizeBytes },
        index + 1,
        others[index] ?? 0,
      );
    const from = snapshotPaths.data(poolPaths.volume(home.path, snapshot.volumeId), snapshot.name);
    await clone(home, { from, fromBytes: partSizes(filesOf(snapshot))[0] ?? 0 }, 0, firstBytes);
  }

  /** Returns a function that creates a new part from a file that `cloneAside` has made. */
  putAside(id: string): (part: PlacedPart, index: number) => Promise<string | null> {
    return (part, index) =>
      this.change(part.pool, part.record, (files) =>
        files.parts.create(part.record, false, (to) => new SnapshotFiles(files).takeAside(id, index + 1, to)),
      );
  }

  /** Deletes the folders that `cloneAside` has left in the pools. */
  async dropAside(id: string, pools: readonly PoolState[]): Promise<void> {
    for (const pool of new Map(pools.map((one) => [one.name, one])).values())
      await this.pools.onDisk(pool, SNAPSHOT_CHANGE_MS, (files) => files.drop(id));
  }

  /**
   * Returns a function that clones a part of the snapshot as a new part. If the snapshot has no part at this index, the new part has
   * zeros.
   */
  clone({ record: snapshot }: FoundSnapshot): (part: PlacedPart, index: number) => Promise<string | null> {
    const sources = snapshotParts(this.verbs.catalogue, snapshot);
    return (part, index) => {
      const source = sources[index]?.record;
      if (source === undefined) return this.verbs.zeros(false)(part);
      return this.change(part.pool, part.record, (files) => new PartSnapshots(files).cloneAsPart(source, part.record));
    };
  }

  private change<T>(pool: PoolState, { sizeBytes }: { readonly sizeBytes: number }, work: (files: PoolFiles) => Promise<T>): Promise<T> {
    return this.verbs.onDisk(pool, limitMs({ sizeBytes }), work);
  }
}

/** Returns the time limit of one step of a change. The limit depends on the size of the volume or snapshot. */
export function limitMs({ sizeBytes }: { readonly sizeBytes: number }): number {
  return Math.min(SNAPSHOT_CHANGE_MAX_MS, SNAPSHOT_CHANGE_MS + (sizeBytes / GIB) * SNAPSHOT_MS_PER_GIB);
}
