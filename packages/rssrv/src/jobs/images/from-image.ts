// Executes jobs that give a volume the content of an image in another pool. A job copies a snapshot of the image, or only the data that was
// written to the image since its refresh. Invariants: the volume keeps its content until the copy is complete, and then gets the content
// that the image had at one moment; the old content becomes a snapshot. The job record contains the id of this snapshot, so that the job
// knows after a restart whether the volume already has the copy.

import { rename } from 'node:fs/promises';
import { syncDirectory } from '@rsio/base/files/durable-write';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { type CopyBase, CopyInPool } from '../copies/copy-in-pool.ts';
import type { CopySource } from '../copies/copy-source.ts';
import type { ToVolumePorts } from '../copies/to-volume.ts';
import type { CopyTarget, JobRecord } from '../job-record.ts';
import { JobEnds, type RunningJob } from '../jobs.ts';
import { VolumeContent } from '../moves/volume-content.ts';
import type { PoolState } from '../../pools/catalogue.ts';
import type { Manifest } from '../../pools/disk/manifest.ts';
import { poolPaths } from '../../pools/disk/pool-paths.ts';
import { stampOf } from '../../pools/moves/move-files.ts';
import type { SnapshotFiles } from '../../pools/snapshots/snapshot-files.ts';
import { snapshotPaths } from '../../pools/snapshots/snapshot-record.ts';
import { snapshotsOf } from '../../snapshots/snapshot-rules.ts';
import type { SnapshotVerbs } from '../../snapshots/snapshot-verbs.ts';
import { decideCopiedRestore } from './image-rules.ts';

type Restore = Extract<CopyTarget, { kind: 'restore' }>;

/** The content that the volume and the image had in common at the last refresh. */
interface Base extends CopyBase {
  /** Path of the file in the image's pool that has this common content. */
  readonly imageFile: string;
}

export class FromImage {
  private readonly ports: ToVolumePorts;
  private readonly snapshots: SnapshotVerbs;
  private readonly copies: CopyInPool;

  constructor(ports: ToVolumePorts, snapshots: SnapshotVerbs) {
    this.ports = ports;
    this.snapshots = snapshots;
    this.copies = new CopyInPool(ports.verbs.pools);
  }

  isMade({ record }: RunningJob, target: Restore): Promise<boolean> {
    const pool = this.ports.verbs.pools.states.find(({ identity }) => identity?.id === record.toId);
    return Promise.resolve(pool?.snapshots.get(target.id)?.list.some(({ id }) => id === target.keptId) === true);
  }

  async run(job: RunningJob, source: CopySource, target: Restore): Promise<void> {
    const { changedData, punch } = this.ports;
    const pool = this.copies.poolOf(job.record);
    const { sizeBytes } = this.volumeIn(pool, target);
    const { copyStamp, from } = await this.copies.prepared(job, pool, target.id, sizeBytes, await this.baseOf(pool, source, target));
    const openBase = async (): Promise<VolumeContent | null> => {
      if (from === null) return null;
      const base = await VolumeContent.open([from.imageFile], { kind: 'simple' });
      // A refresh of the image may have replaced the file of the base before this function opened it.
      if ((await this.baseOf(pool, source, target))?.key === from.key) return base;
      await base.close();
      throw new JobEnds({ kind: 'waits', reason: 'The image was refreshed meanwhile' });
    };
    await this.copies.fill({ changedData, punch }, job, source, { id: target.id, sizeBytes, openBase });
    try {
      await this.ports.exclusive(
        () => this.commit(job.record, source, target, copyStamp, sizeBytes),
        `volume ${target.name}, which is being restored`,
      );
    } catch (thrown) {
      // E_BUSY is temporary: for example, a snapshot of the volume is being made. The job then waits.
      if (toRsError(thrown).code === 'E_BUSY') throw new JobEnds({ kind: 'waits', reason: toRsError(thrown).message });
      throw thrown;
    }
  }

  discard(record: JobRecord, { id }: Restore): Promise<void> {
    return this.copies.discard(record, id);
  }

  /** Returns the content that both pools have in common. If nothing is known to be common, returns null, and the job copies everything. */
  private async baseOf(pool: PoolState, { pool: imagePool, manifest: image }: CopySource, target: Restore): Promise<Base | null> {
    const base = image.image?.base;
    const manifest = this.volumeIn(pool, target);
    const record = snapshotsOf({ pool, manifest }).list.find(({ id }) => id === base?.snapshot);
    if (base === undefined || record === undefined || record.layout !== undefined) return null;
    const imageFile = poolPaths.baseData(poolPaths.volume(imagePool.path, image.id));
    if ((await this.copies.onDisk(imagePool, () => stampOf(imageFile))) !== base.stamp) return null;
    const file = snapshotPaths.data(poolPaths.volume(pool.path, manifest.id), record.name);
    return { key: `${base.snapshot} ${base.stamp}`, file, sizeBytes: record.sizeBytes, imageFile };
  }

  private volumeIn(pool: PoolState, { id, name }: Restore): Manifest {
    const manifest = pool.volumes.get(id);
    if (manifest !== undefined) return manifest;
    throw new RsError('E_UNKNOWN_VOLUME', `Volume ${name} is no longer in pool ${pool.name}: it was removed or moved meanwhile`);
  }

  /** Repeats the checks of the request, and gives the volume its new content. The caller must make no other change during this call. */
  private async commit(record: JobRecord, source: CopySource, target: Restore, copyStamp: string, sizeBytes: number): Promise<void> {
    const { verbs } = this.ports;
    const asker = this.ports.askerOf(record.by);
    const manifest = this.volumeIn(this.copies.poolOf(record), target);
    // The job waits and then extends the copy, because the server does not serve a file that is shorter than its volume.
    if (manifest.sizeBytes !== sizeBytes) throw new JobEnds({ kind: 'waits', reason: `volume ${target.name} has grown meanwhile` });
    const { source: volume, planned } = decideCopiedRestore(verbs.catalogue, manifest, source, asker, verbs.stamp(null));
    const kept = { ...planned.kept, id: target.keptId };
    await this.snapshots.replaceContent(volume, { ...planned, kept }, (files, was) => takeOver(files, was, copyStamp), verbs.zeros(false));
  }
}

/** Renames the copy into the folder of the volume, beside the volume's data. Returns the stamp of the copy. */
async function takeOver(files: SnapshotFiles, was: Manifest, copyStamp: string): Promise<string> {
  const next = await files.roomForNext(was);
  const moving = poolPaths.movingVolume(files.directory, was.id);
  if ((await stampOf(poolPaths.data(moving))) !== copyStamp)
    throw new RsError('E_BUSY', 'The files of the copy have changed: it begins again');
  await rename(poolPaths.data(moving), next);
  await syncDirectory(moving);
  return files.nextIsMade('restore', next, copyStamp);
}
