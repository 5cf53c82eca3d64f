// Executes the methods about images. If image and volume are in one pool, the work is done at once; otherwise a job does it. Invariant: a
// repeated request is answered with the result of the first request, and begins no second job.

import type { HandlersOf } from '@rsio/common/control/control-server';
import type { IMAGE_METHODS } from '@rsio/api/rssrv/snapshot-methods';
import type { ManagedVolumeView } from '@rsio/api/views/views';
import type { ImageVerbs } from '../jobs/images/image-verbs.ts';
import type { ImageJobs } from '../jobs/service/image-jobs.ts';
import type { ReplicaStore } from '../mirrors/replica-verbs.ts';
import type { Asker } from '../pools/asker.ts';
import { type Found, volumeText } from '../pools/catalogue.ts';
import type { Inventory } from './inventory.ts';
import type { LoggedChanges } from './logged-changes.ts';

export function imageHandlers(
  {
    changes,
    inventory,
    images,
    replicas,
    jobs,
  }: {
    readonly changes: LoggedChanges;
    readonly inventory: Inventory;
    readonly images: ImageVerbs;
    readonly replicas: Pick<ReplicaStore, 'split'>;
    readonly jobs: Pick<ImageJobs, 'image' | 'refresh' | 'restore'>;
  },
  asker: Asker,
): HandlersOf<typeof IMAGE_METHODS> {
  return {
    'volume-image': async ({ name, universe, newUniverse, pool, limitBytes, request }) => {
      const of = { name, universe };
      const job =
        pool === null || images.isDone(request) ? null : await jobs.image({ ...of, newUniverse, pool, limitBytes }, asker, changes);
      if (job !== null) return { volume: null, job };
      const work = (): Promise<Found> => images.image(of, newUniverse, asker, request);
      const { volume } = await changes.change(`made as an image of ${volumeText(of)}`, { name, universe: newUniverse }, work);
      return { volume, job: null };
    },
    'volume-refresh': async ({ images: wanted, limitBytes, request }) => {
      const names = wanted.map(({ name, universe }) => ({ name, universe }));
      const begun = images.isDone(request) ? null : await jobs.refresh(names, limitBytes, asker, changes);
      if (begun !== null) return { volumes: [], jobs: begun };
      const what = `images ${names.map(volumeText).join(', ')}, which are being refreshed`;
      const found = await changes.run(() => images.refresh(names, asker, request), what);
      for (const one of found) changes.note('refreshed', one);
      const volumes: ManagedVolumeView[] = [];
      for (const { pool, manifest } of found) volumes.push(await inventory.viewOf(pool, manifest));
      return { volumes, jobs: [] };
    },
    'volume-image-restore': async ({ name, universe, fromUniverse, limitBytes, request }) => {
      const of = { name, universe };
      const job = images.isRestored(request) ? null : await jobs.restore(of, fromUniverse, limitBytes, asker, changes);
      if (job !== null) return { volume: null, kept: null, job };
      const work = () => images.restore(of, fromUniverse, asker, request);
      const found = await changes.found(`restored from its image in universe ${fromUniverse}`, of, work);
      const [kept = null] = found.kept === null ? [] : await inventory.snapshotViews([{ ...found, record: found.kept }]);
      return { ...(await changes.view(found)), kept, job: null };
    },
    'volume-split': async ({ name, universe, request }) => {
      const of = { name, universe };
      const work = async (): Promise<Found> => (await replicas.split(of, asker, request)) ?? images.split(of, asker, request);
      return changes.change('split from its volume or mirror', of, work);
    },
  };
}
