// Finishes or undoes interrupted refreshes of several images that share a moment. One image decides for the group, so that either all
// images of the group get the new content, or no image gets it. Invariants: an image has either its old content or its new content. While
// the deciding image cannot be read, the other images do not change and are not served.

import { RsError } from '@rsio/base/lib/errors';
import type { ImageRelation, Manifest, PreparedRefresh } from '../disk/manifest.ts';
import { withManifest } from '../disk/volume-index.ts';
import { checkNotMoving } from './move-repair.ts';
import { SnapshotFiles } from '../snapshots/snapshot-files.ts';
import type { ImagePool, Perform, RepairedPool } from './repaired-pool.ts';

/** Throws E_BUSY if a move or a refresh of the volume is unfinished. */
export function checkSettled(manifest: Manifest): void {
  checkNotMoving(manifest);
  if (manifest.image?.next !== undefined)
    throw new RsError('E_BUSY', refreshingText(manifest), { volume: `${manifest.name}@${manifest.universe}` });
}

export function refreshingText({ name, universe }: Manifest): string {
  return `Image ${name}@${universe} waits for another image to tell whether their refresh was made: ${REMEDY}`;
}

/** Images grow only by a refresh. */
export function growsByRefresh({ name, universe }: Manifest): string {
  const text = `${name}@${universe}`;
  return `Volume ${text} is an image, and grows when it is refreshed: volume split ${text} makes it an ordinary volume`;
}

const REMEDY = 'mount the pool of that image, then run rsadm reload';

/** Why an image is not served while the outcome of its refresh is unknown. */
export const REFRESH_TEXT = `a refresh of several images was interrupted, and only another image tells whether it was made: ${REMEDY}`;

/** Returns true if the refresh was committed, false if it was not committed, and null if the deciding image cannot be read. */
export function isMade({ id, homeId }: PreparedRefresh, pools: readonly ImagePool[]): boolean | null {
  for (const { isOpen, volumes, removed, trouble } of pools) {
    const home = isOpen ? (volumes.get(homeId) ?? removed.get(homeId)?.manifest) : undefined;
    if (home !== undefined) return home.image?.refresh === id ? true : trouble === null ? false : null;
  }
  // The deciding image was not found. If the image may be in a pool that cannot be read, or may be unreadable, the answer is unknown.
  return pools.every(({ isOpen, trouble, unreadable }) => isOpen && trouble === null && !unreadable.has(homeId)) ? false : null;
}

export function refreshed(
  { ofId, ofName, ofUniverse }: ImageRelation,
  { id, momentMs }: Pick<PreparedRefresh, 'id' | 'momentMs'>,
): ImageRelation {
  return { ofId, ofName, ofUniverse, momentMs, refresh: id };
}

/** Settles the interrupted refreshes in all pools. */
export async function settleImages<State extends ImagePool, Pool extends RepairedPool<State>>(
  pools: readonly Pool[],
  perform: Perform<Pool>,
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
      if (isDone) pool.state = { ...pool.state, volumes: withManifest(pool.state.volumes, settled) };
    }
  }
}
