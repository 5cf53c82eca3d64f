// Executes jobs that make and refresh images outside the pool of their volume. A job copies a snapshot of the volume, or the differences
// between this snapshot and the snapshot of the last refresh (the base). Invariants: the copy is in the pool's folder `moving` until it is
// complete, so that an image has its whole old or whole new content; differences are copied only into a copy that certainly began with the
// content of the base.

import { rename, stat } from 'node:fs/promises';
import { syncDirectory } from '@rsio/base/files/durable-write';
import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { type CopyBase, CopyInPool } from '../copies/copy-in-pool.ts';
import { type CopySource, stateOf } from '../copies/copy-source.ts';
import { COPY_COMMIT_MS } from '../limits.ts';
import { commitCopy, type ToVolumePorts } from '../copies/to-volume.ts';
import type { CopyTarget, JobRecord } from '../job-record.ts';
import { JobEnds, type RunningJob } from '../jobs.ts';
import { isComparable, VolumeContent } from '../moves/volume-content.ts';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import type { Found, PoolState } from '../../pools/catalogue.ts';
import type { ImageRelation, Manifest } from '../../pools/disk/manifest.ts';
import type { PoolFiles } from '../../pools/disk/pool-files.ts';
import { poolPaths } from '../../pools/disk/pool-paths.ts';
import { MoveFiles, stampOf } from '../../pools/moves/move-files.ts';
import { isWithoutReflink } from '../../pools/snapshots/reflink.ts';
import { SnapshotFiles } from '../../pools/snapshots/snapshot-files.ts';
import { filesOf, type SnapshotRecord } from '../../pools/snapshots/snapshot-record.ts';
import { snapshotFiles, snapshotsOf } from '../../snapshots/snapshot-rules.ts';
import type { SnapshotOrders } from '../../snapshots/snapshot-verbs.ts';
import { decideCopiedImage, decideCopiedRefresh } from './image-rules.ts';

type ImageCopy = Extract<CopyTarget, { kind: 'image' }>;

/** Initial content of a copy: files with the same content in both pools. */
interface Base extends CopyBase {
  readonly snapshot: SnapshotRecord;
}

export class ToImage {
  private readonly ports: ToVolumePorts;
  private readonly snapshots: Pick<SnapshotOrders, 'remove'>;
  private readonly log: Pick<Log, 'warn'>;
  private readonly copies: CopyInPool;

  constructor(ports: ToVolumePorts, snapshots: Pick<SnapshotOrders, 'remove'>, log: Pick<Log, 'warn'>) {
    this.ports = ports;
    this.snapshots = snapshots;
    this.log = log;
    this.copies = new CopyInPool(ports.verbs.pools);
  }

  async isMade(job: RunningJob, target: ImageCopy): Promise<boolean> {
    if (this.imageOf(job.record, target)?.image?.refresh !== target.refresh) return false;
    await this.keepBase(job, target);
    return true;
  }

  async run(job: RunningJob, source: CopySource, target: ImageCopy): Promise<void> {
    const { changedData, punch } = this.ports;
    const pool = this.copies.poolOf(job.record);
    const { sizeBytes } = source.record;
    const base = await this.baseOf(job.record, pool, source, target);
    const { copyStamp, from } = await this.copies.prepared(job, pool, target.id, sizeBytes, base);
    const openBase = (): Promise<VolumeContent | null> => (from === null ? Promise.resolve(null) : this.openBase(from, source));
    await this.copies.fill({ changedData, punch }, job, source, { id: target.id, sizeBytes, openBase });
    const old = this.imageOf(job.record, target)?.image?.base ?? null;
    await this.ports.exclusive(() => this.commit(job, source, target, copyStamp), `the refresh of image ${target.name}@${target.universe}`);
    await this.keepBase(job, target);
    if (old !== null) await this.forget(source, old.snapshot);
  }

  discard(record: JobRecord, { id }: ImageCopy): Promise<void> {
    return this.copies.discard(record, id);
  }

  private imageOf({ toId }: JobRecord, { id }: ImageCopy): Manifest | undefined {
    return this.ports.verbs.pools.states.find(({ identity }) => identity?.id === toId)?.volumes.get(id);
  }

  /** If the job's snapshot has become the base of the next refresh, makes the job keep this snapshot. */
  private async keepBase(job: RunningJob, target: ImageCopy): Promise<void> {
    const state = stateOf(job.record);
    const base = this.imageOf(job.record, target)?.image?.base;
    if (state.snapshotId === null || base?.snapshot !== state.snapshotId) return;
    job.note({ copy: { ...state, isOwn: false } });
    await job.save();
  }

  /**
   * Removes the snapshot that was the base of the previous refresh. A snapshot that a client is reading stays, and an administrator can
   * remove this snapshot like any other.
   */
  private async forget({ manifest }: CopySource, snapshotId: string): Promise<void> {
    const { snapshots, log } = this;
    const pool = this.ports.verbs.pools.states.find(({ volumes }) => volumes.has(manifest.id));
    const now = pool?.volumes.get(manifest.id);
    const record =
      pool === undefined || now === undefined ? undefined : snapshotsOf({ pool, manifest: now }).list.find(({ id }) => id === snapshotId);
    if (now === undefined || record === undefined) return;
    const old = { id: now.id, snapshotId };
    await this.ports
      .exclusive(() => snapshots.remove(old, LOCAL_ASKER, null), `snapshot ${record.name} of volume ${now.name}`)
      .catch((thrown: unknown) => log.warn(`Snapshot ${record.name} of volume ${now.name} stays: ${toRsError(thrown).message}`));
  }

  /** Returns the content that both pools have in common. If nothing is known to be common, returns null, and the job copies everything. */
  private async baseOf(job: JobRecord, pool: PoolState, source: CopySource, target: ImageCopy): Promise<Base | null> {
    const image = this.imageOf(job, target);
    const base = image?.image?.base;
    if (image === undefined || base === undefined) return null;
    const record = snapshotsOf(source).list.find(({ id }) => id === base.snapshot);
    const file = poolPaths.baseData(poolPaths.volume(pool.path, target.id));
    if (record === undefined || (await this.copies.onDisk(pool, () => stampOf(file))) !== base.stamp) return null;
    if (!isComparable(filesOf(record).layout, filesOf(source.record).layout)) return null;
    return { key: `${base.snapshot} ${base.stamp}`, snapshot: record, file, sizeBytes: record.sizeBytes };
  }

  /** Opens the files of the base in the pools of the volume. */
  private async openBase({ snapshot }: Base, { pool, manifest }: CopySource): Promise<VolumeContent> {
    const paths = snapshotFiles(this.ports.verbs.catalogue, { pool, manifest, record: snapshot });
    const file = await VolumeContent.open(paths, filesOf(snapshot).layout).catch((thrown: unknown) => {
      if (errnoName(thrown) === 'ENOENT') return null;
      throw thrown;
    });
    // Check that the opened files belong to the snapshot: before the open, the snapshot may have been removed, and another snapshot may
    // have taken its name.
    const now = this.ports.verbs.pools.states.find(({ identity }) => identity?.id === pool.identity?.id);
    const isThere = now !== undefined && snapshotsOf({ pool: now, manifest }).list.some(({ id }) => id === snapshot.id);
    if (file !== null && isThere) return file;
    await file?.close();
    throw new JobEnds({ kind: 'waits', reason: `snapshot ${snapshot.name} was removed meanwhile, so that everything is copied` });
  }

  /** Repeats the checks of the request, and gives the image its new content. The caller must make no other change during this call. */
  private async commit(job: RunningJob, source: CopySource, target: ImageCopy, copyStamp: string): Promise<void> {
    const { clock, verbs } = this.ports;
    const { record } = job;
    const pool = this.copies.poolOf(record);
    const asker = this.ports.askerOf(record.by);
    const was = this.imageOf(job.record, target);
    if ((was === undefined) !== target.isNew)
      throw new RsError(
        'E_UNKNOWN_VOLUME',
        `Image ${target.name}@${target.universe} is no longer in pool ${pool.name}: it was removed or moved meanwhile`,
      );
    const stamp = await this.copies.onDisk(pool, (files) => this.keptCopy(files, target));
    const relation: Pick<ImageRelation, 'momentMs' | 'refresh' | 'base'> = {
      momentMs: source.record.createdMs,
      refresh: target.refresh,
      ...(stamp === null ? {} : { base: { snapshot: source.record.id, stamp } }),
    };
    const { catalogue } = verbs;
    try {
      if (was === undefined) {
        const planned = decideCopiedImage(catalogue, source, pool, target, asker, clock.wallMs());
        // The volume may have grown since its snapshot was made.
        const { sizeBytes } = source.record;
        const manifest: Manifest = { ...planned, sizeBytes, stamps: [copyStamp], image: { ...planned.image, ...relation } };
        return await commitCopy(verbs, record, pool, manifest);
      }
      const image = decideCopiedRefresh(catalogue, target, source, asker);
      await this.replace(image, copyStamp, { ...image.relation, ...relation }, source.record.sizeBytes);
    } catch (thrown) {
      if (toRsError(thrown).code === 'E_HELD') throw new JobEnds({ kind: 'waits', reason: toRsError(thrown).message });
      throw thrown;
    }
  }

  /** Replaces the content of an image while the image is not served. Writing the manifest is the commit point. */
  private async replace({ pool, manifest: was }: Found, copyStamp: string, image: ImageRelation, sizeBytes: number): Promise<void> {
    const { verbs } = this.ports;
    await verbs.whileUnserved({ pool, manifest: was }, async () => {
      const manifest: Manifest = { ...was, sizeBytes, thick: false, stamps: [copyStamp], image };
      const change = <T>(work: (files: PoolFiles) => Promise<T>): Promise<T> => verbs.onDisk(pool, COPY_COMMIT_MS, work);
      await change((files) => this.takeOver(files, was, copyStamp));
      await change((files) => files.replaceManifest(manifest));
      verbs.pools.put(pool, manifest);
      await change((files) => new SnapshotFiles(files).putNext(was.id, 'refresh'));
    });
  }

  /** Keeps a clone of the copy for the next refresh. Returns the stamp of the clone; null if the pool cannot clone. */
  private async keptCopy(files: PoolFiles, { id }: ImageCopy): Promise<string | null> {
    const folder = poolPaths.movingVolume(files.directory, id);
    const { size } = await stat(poolPaths.data(folder));
    try {
      return await new MoveFiles(files).keep(id, size);
    } catch (thrown) {
      if (isWithoutReflink(errnoName(thrown))) return null;
      throw thrown;
    }
  }

  /** Renames the copy into the folder of the image, beside the image's data. */
  private async takeOver(files: PoolFiles, was: Manifest, copyStamp: string): Promise<void> {
    const [from, folder] = [poolPaths.movingVolume(files.directory, was.id), poolPaths.volume(files.directory, was.id)];
    if ((await stampOf(poolPaths.data(from))) !== copyStamp)
      throw new RsError('E_BUSY', 'The files of the copy have changed: it begins again');
    const next = await new SnapshotFiles(files).roomForNext(was);
    await rename(poolPaths.data(from), next);
    files.ports.reached?.('image: data');
    if ((await stampOf(poolPaths.baseData(from))) !== null) await rename(poolPaths.baseData(from), poolPaths.baseData(folder));
    await syncDirectory(folder);
    files.ports.reached?.('image: base');
  }
}
