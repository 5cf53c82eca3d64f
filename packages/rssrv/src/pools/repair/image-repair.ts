// Settles refreshes of images that another image decides: images that are refreshed at one moment get it all of them or none. settleImages
// carries out what isMade tells. Invariants: an image has its old content or the new one; while the image that decides cannot be read,
// nothing happens to the others, and they are not served.

import { RsError } from '@rsio/common/lib/errors';
import type { ImageRelation, Manifest, PreparedRefresh } from '../disk/manifest.ts';
import type { PoolFiles } from '../disk/pool-files.ts';
import { checkNotMoving } from './move-repair.ts';
import { SnapshotFiles } from '../snapshots/snapshot-files.ts';

/** What is needed of a pool (see PoolState in catalogue.ts). */
export interface ImagePool {
  readonly isOpen: boolean;
  readonly trouble: string | null;
  readonly volumes: ReadonlyMap<string, Manifest>;
  readonly removed: ReadonlyMap<string, { readonly manifest: Manifest }>;
  readonly unreadable: ReadonlySet<string>;
}

/** Throws E_BUSY if a refresh of the image is not over. */
export function checkNotRefreshing({ name, universe, image }: Manifest): void {
  if (image?.next === undefined) return;
  const text = `${name}@${universe}`;
  throw new RsError('E_BUSY', `Image ${text} waits for another image to tell whether their refresh was made: ${REMEDY}`, { volume: text });
}

/** Throws E_BUSY if a move or a refresh of the volume is not over. */
export function checkSettled(manifest: Manifest): void {
  checkNotMoving(manifest);
  checkNotRefreshing(manifest);
}

/** Throws E_USAGE if the volume is an image. */
export function checkGrowable({ name, universe, image }: Manifest): void {
  if (image === undefined) return;
  const text = `${name}@${universe}`;
  const what = `Volume ${text} is an image, and grows when it is refreshed: volume split ${text} makes it an ordinary volume`;
  throw new RsError('E_USAGE', what, { volume: text });
}

const REMEDY = 'mount the pool of that image, then run rsadm reload';

/** Why an image is not served before it is known whether its refresh was made. */
export const REFRESH_TEXT = `a refresh of several images was interrupted, and only another image tells whether it was made: ${REMEDY}`;

/** Returns true if the refresh was made, false if it was not, and null if that is not known. */
export function isMade({ id, homeId }: PreparedRefresh, pools: readonly ImagePool[]): boolean | null {
  for (const { isOpen, volumes, removed, trouble } of pools) {
    const home = isOpen ? (volumes.get(homeId) ?? removed.get(homeId)?.manifest) : undefined;
    if (home !== undefined) return home.image?.refresh === id ? true : trouble === null ? false : null;
  }
  // A pool that is not open may have it.
  return pools.every(({ isOpen, trouble, unreadable }) => isOpen && trouble === null && !unreadable.has(homeId)) ? false : null;
}

/** The relation after a refresh. */
export function refreshed(
  { ofId, ofName, ofUniverse }: ImageRelation,
  { id, momentMs }: Pick<PreparedRefresh, 'id' | 'momentMs'>,
): ImageRelation {
  return { ofId, ofName, ofUniverse, momentMs, refresh: id };
}

/** `perform` executes the work. If it returns false, the work has failed, and the pool has a trouble. */
export async function settleImages<State extends ImagePool, Pool extends { state: State; readonly files: PoolFiles }>(
  pools: readonly Pool[],
  perform: (pool: Pool, work: (files: PoolFiles) => Promise<void>) => Promise<boolean>,
): Promise<void> {
  for (const pool of pools) {
    for (const manifest of pool.state.volumes.values()) {
      const { image } = manifest;
      if (image?.next === undefined || !pool.state.isOpen || pool.state.trouble !== null) continue;
      const { next, ...before } = image;
      const states = pools.map(({ state }) => state);
      const made = isMade(next, states);
      if (made === null) continue;
      const settled: Manifest = made
        ? {
            ...manifest,
            sizeBytes: next.sizeBytes,
            thick: false,
            stamps: [next.stamp],
            image: refreshed(before, next),
            request: next.request,
          }
        : { ...manifest, image: before };
      const isDone = await perform(pool, async (files) => {
        await files.replaceManifest(settled);
        const snapshots = new SnapshotFiles(files);
        await (made ? snapshots.putNext(manifest.id, 'refresh') : snapshots.dropNext(manifest.id));
      });
      if (isDone) pool.state = { ...pool.state, volumes: new Map(pool.state.volumes).set(manifest.id, settled) };
    }
  }
}
