// Makes, refreshes and splits images, and restores volumes from images. The image and the volume are in one pool. image-rules.ts decides,
// and SnapshotFiles changes the disk. A clone of a file becomes the data of another volume, so no content is copied. The caller makes one
// change at a time. Invariants: at any time, an image or a restored volume has either all of its old content, or all content that its
// source had at one later moment. If images are refreshed together, either all of them have the new moment or none has it. A request that
// is repeated after a crash is not executed again (C4).

import { rm } from 'node:fs/promises';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import type { Asker } from '../../pools/asker.ts';
import { type Found, type VolumeName, volumeText } from '../../pools/catalogue.ts';
import type { Manifest } from '../../pools/disk/manifest.ts';
import type { PoolFiles } from '../../pools/disk/pool-files.ts';
import { poolPaths } from '../../pools/disk/pool-paths.ts';
import { checkStamp, type PoolVerbs } from '../../pools/pool-verbs.ts';
import type { Pools } from '../../pools/pools.ts';
import type { FileCopy } from '../../pools/snapshots/file-copy.ts';
import { SnapshotFiles } from '../../pools/snapshots/snapshot-files.ts';
import { isDoneBy } from '../../pools/requests/request-stamp.ts';
import { limitMs } from '../../snapshots/part-steps.ts';
import type { RolledBack, SnapshotVerbs } from '../../snapshots/snapshot-verbs.ts';
import {
  decideImage,
  decideImageRestore,
  decideRefresh,
  decideSplit,
  type PlannedRefresh,
  preparedManifest,
  refreshedManifest,
} from './image-rules.ts';

/** A refresh whose new file is being made. */
interface Copied extends PlannedRefresh {
  readonly file: string;
  /**
   * A copy of the volume at the moment of the refresh. If another image of the same volume already has a copy, this is the path of that
   * image's new file, which is then cloned.
   */
  readonly copy: FileCopy | string;
}

export class ImageVerbs {
  private readonly pools: Pools;
  private readonly verbs: PoolVerbs;
  private readonly snapshots: SnapshotVerbs;
  private readonly log: Pick<Log, 'error'>;

  constructor(verbs: PoolVerbs, snapshots: SnapshotVerbs, log: Pick<Log, 'error'>) {
    this.pools = verbs.pools;
    this.verbs = verbs;
    this.snapshots = snapshots;
    this.log = log;
  }

  /** Makes an image of a volume, even while clients write to the volume. */
  async image(wanted: VolumeName, universe: number, asker: Asker, requestId: string | null): Promise<Found> {
    asker.needs('manage', 'make images');
    const { pools, verbs } = this;
    const done = verbs.doneBy(requestId);
    if (done !== null) return done;
    await pools.measure();
    const { source, manifest: planned } = decideImage(this.verbs.catalogue, wanted, universe, null, asker, this.verbs.stamp(requestId));
    const { pool } = source;
    const manifest = await verbs.onDisk(pool, limitMs(planned), (files) =>
      files.create(planned, [], (file) => this.cloneWith(new SnapshotFiles(files), source, file, planned.sizeBytes)),
    );
    pools.put(pool, manifest);
    await verbs.serve(pool, null, manifest);
    return this.now(manifest.id) ?? { pool, manifest };
  }

  /** Returns true if this request has made or refreshed images before. */
  isDone(requestId: string | null): boolean {
    return this.doneBy(requestId).length > 0;
  }

  /** Returns true if this request has restored a volume before. */
  isRestored(requestId: string | null): boolean {
    return this.verbs.doneBy(requestId) !== null;
  }

  /** Refreshes images that no client uses. All images get the content of the same moment (P1). */
  async refresh(wanted: readonly VolumeName[], asker: Asker, requestId: string | null): Promise<readonly Found[]> {
    asker.needs('manage', 'refresh images');
    const done = this.doneBy(requestId);
    if (done.length > 0) return done;
    await this.pools.measure();
    const plan = decideRefresh(this.verbs.catalogue, wanted, asker, this.verbs.stamp(requestId));
    return this.verbs.whileAllUnserved(
      plan.map(({ image }) => image),
      () => this.replaceAll(plan),
    );
  }

  /**
   * Replaces the content of a volume that no client uses with the content of the volume's image in this universe. The old content becomes a
   * snapshot.
   */
  async restore(wanted: VolumeName, universe: number, asker: Asker, requestId: string | null): Promise<RolledBack> {
    asker.needs('manage', 'restore volumes');
    const { verbs, snapshots } = this;
    const done = verbs.doneBy(requestId);
    if (done !== null) return { ...done, kept: snapshots.keptBy(requestId) };
    const { source, image, planned } = decideImageRestore(this.verbs.catalogue, wanted, universe, asker, this.verbs.stamp(requestId));
    return snapshots.replaceContent(
      source,
      planned,
      async (files, was) => {
        const next = await files.roomForNext(was);
        return files.nextIsMade('restore', next, await this.cloneWith(files, image, next, was.sizeBytes));
      },
      verbs.zeros(false),
    );
  }

  /** Makes an image an ordinary volume. */
  async split(wanted: VolumeName, asker: Asker, requestId: string | null): Promise<Found> {
    asker.needs('manage', 'split images');
    const { pools, verbs } = this;
    const done = verbs.doneBy(requestId);
    if (done !== null) return done;
    const { pool, now } = decideSplit(this.verbs.catalogue, wanted, asker, requestId);
    await verbs.onDisk(pool, limitMs(now), async (files) => {
      await files.replaceManifest(now);
      await rm(poolPaths.baseData(poolPaths.volume(pool.path, now.id)), { force: true });
    });
    pools.put(pool, now);
    return { pool: this.now(now.id)?.pool ?? pool, manifest: now };
  }

  private async replaceAll(plan: readonly PlannedRefresh[]): Promise<readonly Found[]> {
    const { pools, log, snapshots } = this;
    const copied: Copied[] = [];
    try {
      for (const one of plan) copied.push(await this.begin(one, copied));
      const copies = copiesOf(copied);
      for (const copy of copies) await copy.sync();
      await snapshots.takeMoment(
        plan.map(({ image }) => image.pool),
        copies,
      );
      await this.commit(copied);
    } catch (thrown) {
      await this.dropUnused(plan);
      throw thrown;
    } finally {
      // The end of the copies is not awaited, because clones in progress may hang in a file system.
      for (const copy of copiesOf(copied)) copy.close().catch((thrown: unknown) => log.error(toRsError(thrown).message));
      await pools.settleParts();
    }
    return plan.map((one) => this.made(one));
  }

  private begin(one: PlannedRefresh, before: readonly Copied[]): Promise<Copied> {
    const { id } = one.source.manifest;
    const same = before.find(({ source }) => source.manifest.id === id);
    return this.onDisk(one, async (files) => {
      const snapshots = new SnapshotFiles(files);
      const file = await snapshots.roomForNext(one.image.manifest);
      return { ...one, file, copy: same?.file ?? (await snapshots.beginCopy(one.source.manifest, file)) };
    });
  }

  /**
   * Writing the manifest of the first image is the commit point. The other images were prepared before this point, and are finished later.
   */
  private async commit(copied: readonly Copied[]): Promise<void> {
    const { pools, verbs } = this;
    const stamps: string[] = [];
    for (const one of copied) {
      const { file, copy, next } = one;
      const finish = async (files: PoolFiles): Promise<string> => {
        const snapshots = new SnapshotFiles(files);
        const stamp =
          typeof copy === 'string'
            ? await snapshots.cloneOf({ from: copy, fromBytes: next.sizeBytes }, 'copy', file, next.sizeBytes)
            : await snapshots.finishData('copy', file, next.sizeBytes, next.sizeBytes);
        return snapshots.nextIsMade('refresh', file, stamp);
      };
      stamps.push(await this.onDisk(one, finish));
    }
    const replace = async (one: Copied, manifest: Manifest): Promise<void> => {
      const { pool } = one.image;
      await verbs.onDisk(pool, limitMs(manifest), (files) => files.replaceManifest(manifest));
      pools.put(pool, manifest);
    };
    for (const [index, one] of copied.entries()) if (index > 0) await replace(one, preparedManifest(one, stamps[index] ?? ''));
    const [home] = copied;
    if (home === undefined) return;
    await replace(home, refreshedManifest(home, stamps[0] ?? ''));
    await verbs.onDisk(home.image.pool, limitMs(home.next), (files) => new SnapshotFiles(files).putNext(home.image.manifest.id, 'refresh'));
  }

  /** Deletes the new files of a refresh that has failed before its commit point, because they would take up space until the next start. */
  private async dropUnused(plan: readonly PlannedRefresh[]): Promise<void> {
    const { pools, log } = this;
    const [home] = plan;
    const isMade = home === undefined || this.now(home.next.homeId)?.manifest.image?.refresh === home.next.id;
    for (const { image, next } of isMade ? [] : plan) {
      const { id } = image.manifest;
      const now = this.now(id);
      if (now === null || now.pool.trouble !== null || now.manifest.image?.next?.id === next.id) continue;
      await pools
        .onDisk(now.pool.name, limitMs(next), (files) => new SnapshotFiles(files).dropNext(id))
        .catch((thrown: unknown) => log.error(toRsError(thrown).message));
    }
  }

  /**
   * Clones a volume at one moment to a new file. The content of the file is durable, but its name may not be. Returns the stamp of the
   * file.
   */
  private async cloneWith(files: SnapshotFiles, { manifest }: Found, to: string, sizeBytes: number): Promise<string | null> {
    const copy = await files.beginCopy(manifest, to);
    try {
      await copy.sync();
      // The list of pools is empty, because the caller runs in `onDisk` and therefore already has its turn in this pool.
      await this.snapshots.takeMoment([], [copy]);
      return await files.finishData('copy', to, sizeBytes, manifest.sizeBytes);
    } finally {
      copy.close().catch((thrown: unknown) => this.log.error(toRsError(thrown).message));
    }
  }

  /**
   * Executes a change of the files in a pool before the commit point. If the change fails, this method does not read the pool again,
   * because settleParts undoes the change.
   */
  private onDisk<T>({ image, next }: PlannedRefresh, work: (files: PoolFiles) => Promise<T>): Promise<T> {
    return this.pools.onDisk(image.pool, limitMs(next), work);
  }

  /** Throws E_POOL if the refresh of an image could not be finished. */
  private made({ image, next }: PlannedRefresh): Found {
    const now = this.now(image.manifest.id);
    if (now?.manifest.image?.refresh === next.id) return now;
    const why = now?.pool.trouble ?? 'see the log of rssrv';
    throw new RsError(
      'E_POOL',
      `Image ${volumeText(image.manifest)} is not refreshed yet, because pool ${image.pool.name} cannot be used: ${why}`,
      { pool: image.pool.name },
    );
  }

  private now(id: string): Found | null {
    for (const pool of this.pools.states) {
      const manifest = pool.volumes.get(id);
      if (manifest !== undefined) return { pool, manifest };
    }
    return null;
  }

  /**
   * Returns the images whose last change this request has made. Throws E_USAGE if an earlier request with the same id had other parameters.
   */
  private doneBy(stamp: string | null): Found[] {
    if (stamp === null) return [];
    checkStamp(stamp);
    return this.pools.states.flatMap((pool) =>
      [...pool.volumes.values()]
        .filter(({ request, image }) => image !== undefined && image.next === undefined && isDoneBy(stamp, request))
        .map((manifest) => ({ pool, manifest })),
    );
  }
}

function copiesOf(copied: readonly Copied[]): FileCopy[] {
  return copied.flatMap(({ copy }) => (typeof copy === 'string' ? [] : [copy]));
}
