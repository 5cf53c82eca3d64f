// Begins jobs that make and refresh images in other pools. jobs/images/to-image.ts executes the jobs. Invariant: the jobs of one request
// copy snapshots of the same moment, and the snapshots of all volumes exist before the first job begins.

import { randomBytes, randomUUID } from 'node:crypto';
import type { JobView } from '@rsio/api/views/views';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { checkNotCopied } from '../copies/copy-rules.ts';
import { decideCopiedRefresh, decideCopiedRestore, decideImage, findPairs, findRestore, isInOtherPool } from '../images/image-rules.ts';
import type { CopyTarget, JobRecord } from '../job-record.ts';
import { type Asker, LOCAL_ASKER } from '../../pools/asker.ts';
import { findVolume, type Found, type PoolState, type VolumeName, volumeText } from '../../pools/catalogue.ts';
import type { PoolVerbs } from '../../pools/pool-verbs.ts';
import type { Changes } from '../../pools/requests/requests.ts';
import type { FoundSnapshot } from '../../snapshots/snapshot-rules.ts';
import type { SnapshotOrders } from '../../snapshots/snapshot-verbs.ts';
import type { Triggers } from '@rsio/common/triggers/triggers';
import { inPool, isInPool, type NewJobs } from './new-jobs.ts';

/** An image to make. `pool` is the pool for the image; null for the pool of the volume. */
export interface NewImage extends VolumeName {
  readonly newUniverse: number;
  readonly pool: string | null;
  readonly limitBytes: number | null;
}

type ImageTarget = Extract<CopyTarget, { kind: 'image' }>;

interface ImageOrder {
  readonly source: Found;
  readonly pool: PoolState;
  readonly target: ImageTarget;
}

export class ImageJobs {
  private readonly newJobs: NewJobs;
  private readonly verbs: PoolVerbs;
  private readonly snapshots: SnapshotOrders;
  private readonly triggers: Pick<Triggers, 'around'>;
  private readonly log: Pick<Log, 'warn'>;

  constructor(newJobs: NewJobs, verbs: PoolVerbs, snapshots: SnapshotOrders, triggers: Pick<Triggers, 'around'>, log: Pick<Log, 'warn'>) {
    this.newJobs = newJobs;
    this.verbs = verbs;
    this.snapshots = snapshots;
    this.triggers = triggers;
    this.log = log;
  }

  /** Begins a job that makes an image in another pool. Returns null if the image would be in the volume's own pool. */
  async image(wanted: NewImage, asker: Asker, changes: Changes): Promise<JobView | null> {
    asker.needs('manage', 'make images');
    await this.verbs.pools.measure();
    const { verbs } = this;
    const { name, universe, newUniverse, pool: into, limitBytes } = wanted;
    const { source, pool, manifest } = decideImage(verbs.catalogue, { name, universe }, newUniverse, into, asker, verbs.stamp(null));
    if (pool.name === source.pool.name) return null;
    const target = { kind: 'image' as const, id: manifest.id, name, universe: newUniverse, refresh: manifest.image.refresh, isNew: true };
    const [job = null] = await this.beginImages([{ source, pool, target }], limitBytes, asker, changes);
    return job;
  }

  /**
   * Begins jobs that refresh images whose volumes are in other pools. All images get the same moment. Returns null if each image is in the
   * pool of its volume.
   */
  async refresh(
    wanted: readonly VolumeName[],
    limitBytes: number | null,
    asker: Asker,
    changes: Changes,
  ): Promise<readonly JobView[] | null> {
    asker.needs('manage', 'refresh images');
    await this.verbs.pools.measure();
    const { catalogue } = this.verbs;
    const pairs = findPairs(catalogue, wanted, asker);
    const others = pairs.filter(isInOtherPool);
    if (others.length === 0) return null;
    if (others.length < pairs.length)
      throw new RsError(
        'E_USAGE',
        `Of these images, ${others.map(({ image }) => volumeText(image.manifest)).join(', ')} are in other pools than their volumes, and the others not: ` +
          'refresh them with two commands',
      );
    const ofOne = others.find(({ source }, index) => others.findIndex((other) => other.source.manifest.id === source.manifest.id) < index);
    if (ofOne !== undefined)
      throw new RsError(
        'E_USAGE',
        `Two of these images, in other pools, are of volume ${volumeText(ofOne.source.manifest)}: refresh them one after the other`,
      );
    const all = others.map(({ image: { pool, manifest }, source }) => {
      decideCopiedRefresh(catalogue, manifest, source, asker);
      this.verbs.checkUnheld({ pool, manifest });
      const { id, name, universe } = manifest;
      return { source, pool, target: { kind: 'image' as const, id, name, universe, refresh: randomUUID(), isNew: false } };
    });
    return this.beginImages(all, limitBytes, asker, changes);
  }

  /** Begins a job that gives a volume the content of an image in another pool. Returns null if the image is in the pool of the volume. */
  async restore(wanted: VolumeName, universe: number, limitBytes: number | null, asker: Asker, changes: Changes): Promise<JobView | null> {
    asker.needs('manage', 'restore volumes');
    await this.verbs.pools.measure();
    const pair = findRestore(this.verbs.catalogue, wanted, universe, asker);
    if (!isInOtherPool(pair)) return null;
    const begin = (): Promise<JobRecord> => {
      const { catalogue } = this.verbs;
      // The names may mean other volumes by now.
      const image = findVolume(catalogue, pair.image.manifest, asker);
      const { source } = decideCopiedRestore(catalogue, pair.source.manifest, image, asker, this.verbs.stamp(null));
      this.verbs.checkUnheld(source);
      const { id, name, universe: of } = source.manifest;
      const target = { kind: 'restore' as const, id, name, universe: of, keptId: randomUUID() };
      return this.newJobs.copy(image, target, inPool(source.pool, limitBytes), asker);
    };
    const job = await changes.run(begin, `volume ${volumeText(wanted)}, which begins to be restored`);
    return this.newJobs.view(job);
  }

  /** Makes snapshots of the volumes at one moment, and jobs that copy these snapshots. */
  private async beginImages(all: readonly ImageOrder[], limitBytes: number | null, asker: Asker, changes: Changes): Promise<JobView[]> {
    const { snapshots, triggers } = this;
    for (const { target } of all) this.checkFree(target);
    const snapshot = `image-${randomBytes(6).toString('hex')}`;
    const wanted = all.map(({ source: { manifest } }) => ({ id: manifest.id, name: manifest.name, universe: manifest.universe, snapshot }));
    const what = `snapshots ${snapshot}, which are being made for images`;
    const make = (): Promise<readonly FoundSnapshot[]> => changes.run((turn) => snapshots.snapshot(wanted, LOCAL_ASKER, null, turn), what);
    const made = await triggers.around({ snapshots: wanted, by: asker.node, isScheduled: false }, () => changes.checkWanted(), make);
    const begun: JobRecord[] = [];
    try {
      await changes.run(async () => {
        for (const [index, { pool, target }] of all.entries()) {
          this.checkFree(target);
          begun.push(await this.newJobs.copy(made[index]!, target, inPool(pool, limitBytes), asker, true));
        }
      }, `images, whose copies begin`);
    } catch (thrown) {
      // Cancel all jobs that have begun, because either all images must get the content of the moment, or none of them.
      for (const { id } of begun) await this.newJobs.jobs.cancel(id).catch(() => undefined);
      for (const { manifest, record } of made.slice(begun.length))
        await changes
          .run(() => snapshots.remove({ id: manifest.id, snapshotId: record.id }, LOCAL_ASKER, null), what)
          .catch((failure: unknown) =>
            this.log.warn(`Snapshot ${record.name} of volume ${manifest.name} stays: ${toRsError(failure).message}`),
          );
      throw thrown;
    }
    return begun.map((job, index) => {
      const { source, target } = all[index]!;
      return this.newJobs.begunView({ job, moreBytes: target.isNew ? source.manifest.sizeBytes : 0 });
    });
  }

  /** Throws E_BUSY if another job makes this image. */
  private checkFree(target: ImageTarget): void {
    const isSame = ({ copy }: JobRecord): boolean =>
      copy !== undefined &&
      isInPool(copy.target) &&
      (copy.target.id === target.id || (copy.target.name === target.name && copy.target.universe === target.universe));
    checkNotCopied(this.newJobs.list, isSame, `volume ${volumeText(target)}`);
  }
}
