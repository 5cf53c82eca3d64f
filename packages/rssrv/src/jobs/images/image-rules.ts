// Decides whether an image can be made, refreshed, split, or used to restore its volume, and makes the new manifests. This module is pure,
// and image-verbs.ts carries the decisions out. Invariants: an image and its volume are related by ids, not by names; a volume that a
// client may not attach does not exist for that client.

import { RsError } from '@rsio/base/lib/errors';
import type { Asker, Change } from '../../pools/asker.ts';
import {
  type Catalogue,
  checkChange,
  checkCount,
  checkName,
  checkPromise,
  findToChange,
  findVolume,
  type Found,
  ownedBytes,
  poolNamed,
  type PoolState,
  type Stamp,
  unusable,
  type VolumeName,
  volumeText,
  type WantedVolume,
} from '../../pools/catalogue.ts';
import type { VolumeId } from '../../pools/disk/ids.ts';
import type { ImageRelation, Manifest, PreparedRefresh } from '../../pools/disk/manifest.ts';
import { refreshed } from '../../pools/repair/image-repair.ts';
import { checkVerb } from '../../pools/verb-table.ts';
import { decideOtherContent, type PlannedRollback } from '../../snapshots/snapshot-rules.ts';
import { IMAGES_AT_ONCE_MAX } from '../limits.ts';

/** An image, and the volume to which the image belongs. */
export interface ImagePair {
  readonly image: Found;
  readonly relation: ImageRelation;
  readonly source: Found;
}

/** A planned refresh of an image, whose new file does not exist yet. */
export interface PlannedRefresh extends ImagePair {
  readonly next: Omit<PreparedRefresh, 'stamp'>;
}

/** State of the volume that an image belongs to. `unknown` means that the volume was not found, but a pool that is not open may have it. */
export type SourceState = 'present' | 'removed' | 'deleted' | 'unknown';

/**
 * Returns the manifest of a new image, without stamps, and the image's volume. `into` is the pool for the image; null for the pool of the
 * volume. Throws if the image cannot be made.
 */
export function decideImage(
  catalogue: Catalogue,
  wanted: VolumeName,
  universe: number,
  into: string | null,
  asker: Asker,
  { id, newId, request, nowMs }: Stamp,
): { readonly source: Found; readonly pool: PoolState; readonly manifest: ImageManifest } {
  const source = findToChange(catalogue, wanted, asker, 'make images');
  // Only an administrator may know the names of all pools.
  if (into !== null) asker.checkPool(into);
  const pool = into === null ? source.pool : poolNamed(catalogue, into);
  const { name } = source.manifest;
  const manifest = decideCopiedImage(catalogue, source, pool, { id, name, universe, refresh: newId() }, asker, nowMs);
  return { source, pool, manifest: { ...manifest, request } };
}

type ImageManifest = Omit<Manifest, 'stamps'> & { readonly image: ImageRelation };

/** Returns the manifest of a new image in this pool, without stamps. Throws if the image cannot be made. */
export function decideCopiedImage(
  catalogue: Catalogue,
  { pool: home, manifest: was }: Found,
  pool: PoolState,
  { id, name, universe, refresh }: VolumeName & { readonly id: VolumeId; readonly refresh: string },
  asker: Asker,
  nowMs: number,
): ImageManifest {
  checkChange(catalogue, asker, home, was, 'make images');
  asker.checkPool(pool.name);
  if (pool.trouble !== null || pool.identity === null) throw unusable(pool);
  checkVerb('make an image', { pool: home, manifest: was }, { pools: catalogue.pools, asker });
  if (universe === was.universe)
    throw new RsError('E_USAGE', `Volume ${volumeText(was)} is in universe ${universe} itself: give the image another one`, {
      volume: volumeText(was),
    });
  const { sizeBytes, blockSizeBytes, clients } = was;
  checkName(catalogue, { name, universe }, null, 'choose another universe');
  checkCount(catalogue, asker);
  asker.checkLimit(ownedBytes(catalogue, asker.node), sizeBytes);
  checkPromise(pool, sizeBytes);
  // Only clients that may attach the volume may attach its image.
  const rights = { ...asker.access({ clients, takeOver: null }), takeOverForce: false, owner: asker.node };
  const flags = { thick: false, readonly: false, shared: false };
  const image: ImageRelation = { ofId: was.id, ofName: was.name, ofUniverse: was.universe, momentMs: nowMs, refresh };
  const base = { id, name, universe, sizeBytes, blockSizeBytes, layout: { kind: 'simple' } as const, createdMs: nowMs, request: null };
  return { ...base, ...flags, ...rights, image };
}

/**
 * Returns an image that is refreshed from another pool, with its relation to the volume. Throws if the image cannot be refreshed, or can no
 * longer be refreshed.
 */
export function decideCopiedRefresh(
  catalogue: Catalogue,
  wanted: VolumeName & { readonly id: VolumeId },
  source: Found,
  asker: Asker,
): Found & { readonly relation: ImageRelation } {
  const found = findImage(catalogue, wanted, asker, 'refresh images');
  const pair = pairOf(catalogue, found, asker);
  if (pair.source.manifest.id !== source.manifest.id)
    throw new RsError('E_UNKNOWN_VOLUME', `Image ${volumeText(wanted)} is another one now: repeat the command`, {
      volume: volumeText(wanted),
    });
  checkVerb('refresh an image', source, { pools: catalogue.pools, asker });
  checkGrowth(catalogue, [pair], asker);
  return { ...found, relation: named(pair.relation, pair.source) };
}

/** Checks what the images of one command grow together, in each pool and for the asker. */
function checkGrowth(catalogue: Catalogue, pairs: readonly ImagePair[], asker: Asker): void {
  const byPool = new Map<PoolState, number>();
  for (const { image, source } of pairs) {
    const moreBytes = source.manifest.sizeBytes - image.manifest.sizeBytes;
    if (moreBytes > 0) byPool.set(image.pool, (byPool.get(image.pool) ?? 0) + moreBytes);
  }
  if (byPool.size === 0) return;
  asker.checkLimit(
    ownedBytes(catalogue, asker.node),
    [...byPool.values()].reduce((sum, bytes) => sum + bytes, 0),
  );
  for (const [pool, moreBytes] of byPool) checkPromise(pool, moreBytes);
}

/** Returns the images with their volumes. Throws if a name is not the name of an image, or if the asker may not refresh the image. */
export function findPairs(catalogue: Catalogue, wanted: readonly VolumeName[], asker: Asker): readonly ImagePair[] {
  return wanted.map((name) => pairOf(catalogue, findImage(catalogue, name, asker, 'refresh images'), asker));
}

export function isInOtherPool({ image, source }: ImagePair): boolean {
  return image.pool.name !== source.pool.name;
}

/**
 * Plans the refreshes of several images to one moment. The commit of the first refresh commits all refreshes. Throws if one of the
 * refreshes is not possible.
 */
export function decideRefresh(
  catalogue: Catalogue,
  wanted: readonly VolumeName[],
  asker: Asker,
  { newId, request, nowMs }: Stamp,
): readonly PlannedRefresh[] {
  if (wanted.length === 0 || wanted.length > IMAGES_AT_ONCE_MAX)
    throw new RsError('E_USAGE', `1 to ${IMAGES_AT_ONCE_MAX} images can be refreshed at one moment, and ${wanted.length} are given`);
  const texts = wanted.map(volumeText);
  const twice = texts.find((text, index) => texts.indexOf(text) !== index);
  if (twice !== undefined) throw new RsError('E_USAGE', `Image ${twice} is given twice: give each image once`);
  const pairs = findPairs(catalogue, wanted, asker);
  const group = { id: newId(), homeId: pairs[0]?.image.manifest.id ?? '', momentMs: nowMs };
  for (const pair of pairs) {
    const { image, source } = pair;
    checkSamePool(pair);
    const also = pairs.find((other) => other.image.manifest.id === source.manifest.id);
    if (also !== undefined)
      throw new RsError(
        'E_USAGE',
        `Image ${volumeText(image.manifest)} is one of image ${volumeText(source.manifest)}: refresh that one first, with a command of its own`,
      );
    checkVerb('refresh an image', image, { pools: catalogue.pools, asker });
  }
  checkGrowth(catalogue, pairs, asker);
  return pairs.map((pair) => {
    const { image, source } = pair;
    // An image never shrinks, although its volume may have become smaller if the volume's pool was restored.
    const sizeBytes = Math.max(image.manifest.sizeBytes, source.manifest.sizeBytes);
    return { ...pair, next: { ...group, sizeBytes, request } };
  });
}

/**
 * Returns the manifest of an image whose refresh is prepared but not committed. The commit of the first image commits the refreshes of all
 * images.
 */
export function preparedManifest({ image: { manifest }, relation, source, next }: PlannedRefresh, stamp: string): Manifest {
  return { ...manifest, image: { ...named(relation, source), next: { ...next, stamp } } };
}

/** Returns the manifest of an image after its refresh. */
export function refreshedManifest({ image: { manifest }, relation, source, next }: PlannedRefresh, stamp: string): Manifest {
  const image = refreshed(named(relation, source), next);
  return { ...manifest, sizeBytes: next.sizeBytes, thick: false, stamps: [stamp], image, request: next.request };
}

/** Returns the relation with the current name of the volume, for a new manifest. */
function named({ next: _next, base: _base, ...relation }: ImageRelation, { manifest: { name, universe } }: Found): ImageRelation {
  return { ...relation, ofName: name, ofUniverse: universe };
}

/** Plans to restore a volume from its image in this universe. Throws if the restore is not possible. */
export function decideImageRestore(
  catalogue: Catalogue,
  wanted: VolumeName,
  universe: number,
  asker: Asker,
  stamp: Stamp,
): ImagePair & { readonly planned: PlannedRollback } {
  const { source, image, relation } = findRestore(catalogue, wanted, universe, asker);
  checkVerb('restore from an image', source, { pools: catalogue.pools, asker });
  checkSamePool({ image, relation, source });
  return { image, relation, source, planned: decideOtherContent(catalogue, source, asker.node, stamp, 'restore') };
}

/** Plans to restore a volume from its image in another pool. Throws if the restore is not possible, or no longer possible. */
export function decideCopiedRestore(
  catalogue: Catalogue,
  wanted: VolumeName & { readonly id: VolumeId },
  image: Found,
  asker: Asker,
  stamp: Stamp,
): { readonly source: Found; readonly planned: PlannedRollback } {
  const source = findToChange(catalogue, wanted, asker, 'restore volumes');
  checkChange(catalogue, asker, image.pool, image.manifest, 'read images');
  if (image.manifest.image?.ofId !== wanted.id)
    throw new RsError('E_UNKNOWN_VOLUME', `${volumeText(image.manifest)} is no image of volume ${volumeText(wanted)} any more`, {
      volume: volumeText(wanted),
    });
  checkVerb('restore from an image', source, { pools: catalogue.pools, asker });
  return { source, planned: decideOtherContent(catalogue, source, asker.node, stamp, 'restore') };
}

/** Returns a volume and its image in this universe. Throws if the asker may not restore the volume from the image. */
export function findRestore(catalogue: Catalogue, wanted: VolumeName, universe: number, asker: Asker): ImagePair {
  const source = findToChange(catalogue, wanted, asker, 'restore volumes');
  const image = imageIn(catalogue, source, universe, asker);
  return { image, relation: relationOf(image), source };
}

/** Returns the manifest of the ordinary volume that an image becomes. */
export function decideSplit(catalogue: Catalogue, wanted: VolumeName, asker: Asker, request: string | null): Found & { now: Manifest } {
  const found = findImage(catalogue, wanted, asker, 'split images');
  const { image: _image, ...others } = found.manifest;
  return { ...found, now: { ...others, request } };
}

/**
 * Returns the image of a volume in a universe: the image with the volume's name, or, if no image has this name, the only image of the
 * volume in the universe.
 */
function imageIn(catalogue: Catalogue, { manifest }: Found, universe: number, asker: Asker): Found {
  const found = imagesOf(catalogue, manifest.id).filter((one) => one.manifest.universe === universe);
  const [first, second] = found;
  const same = found.find((one) => one.manifest.name === manifest.name) ?? first;
  const text = volumeText(manifest);
  if (same === undefined)
    throw new RsError('E_UNKNOWN_VOLUME', `Volume ${text} has no image in universe ${universe}: volume list shows the images`, {
      volume: text,
    });
  if (second !== undefined && same.manifest.name !== manifest.name)
    throw new RsError(
      'E_AMBIGUOUS',
      `Volume ${text} has several images in universe ${universe}: ${found.map((one) => volumeText(one.manifest)).join(', ')}: rename one to ${manifest.name}@${universe}`,
      { volume: text },
    );
  return findImage(catalogue, same.manifest, asker, 'read images');
}

/** Returns all images of a volume in open pools. */
export function imagesOf({ pools }: Catalogue, volumeId: string): Found[] {
  return pools.flatMap((pool) =>
    [...pool.volumes.values()].filter(({ image }) => image?.ofId === volumeId).map((manifest) => ({ pool, manifest })),
  );
}

/** Finds an image. Throws E_USAGE if the volume is not an image. Throws the errors of `findVolume`. */
function findImage(catalogue: Catalogue, wanted: WantedVolume, asker: Asker, what: Change): Found {
  const found = findToChange(catalogue, wanted, asker, what);
  relationOf(found);
  return found;
}

function relationOf({ manifest }: Found): ImageRelation {
  if (manifest.image !== undefined) return manifest.image;
  const text = `${manifest.name}@${manifest.universe}`;
  throw new RsError('E_USAGE', `Volume ${text} is no image: volume image NAME --universe N makes one of volume NAME`, { volume: text });
}

/**
 * Returns the image and its volume. If the volume cannot be found, throws E_UNKNOWN_VOLUME or E_POOL; the error names the state of the
 * volume.
 */
function pairOf(catalogue: Catalogue, image: Found, asker: Asker): ImagePair {
  const relation = relationOf(image);
  const text = volumeText(image.manifest);
  const of = `${relation.ofName}@${relation.ofUniverse}`;
  const present = sourceOf(catalogue, relation);
  switch (present.state) {
    case 'present': {
      if (!asker.mayAttach(present.found.manifest.clients))
        throw new RsError('E_UNKNOWN_VOLUME', `Image ${text} is one of a volume that is not for this client: ask an administrator`, {
          volume: text,
        });
      const source = findVolume(catalogue, { id: relation.ofId }, asker);
      checkChange(catalogue, asker, source.pool, source.manifest, 'make images');
      return { image, relation, source };
    }
    case 'removed':
      throw new RsError(
        'E_UNKNOWN_VOLUME',
        `Image ${text} is one of volume ${of}, which was removed: volume restore ${of} brings it back, or volume split ${text} ends the relation`,
        { volume: of },
      );
    case 'deleted':
      throw new RsError(
        'E_UNKNOWN_VOLUME',
        `Image ${text} is one of volume ${of}, which no longer exists: volume split ${text} ends the relation`,
        { volume: of },
      );
    case 'unknown':
      throw new RsError('E_POOL', `Image ${text} is one of volume ${of}, which is in no open pool: mount its pool, then run rsadm reload`, {
        volume: of,
      });
  }
}

type Source = { readonly state: 'present'; readonly found: Found } | { readonly state: Exclude<SourceState, 'present'> };

/** Finds the volume of an image in all pools. */
export function sourceOf({ pools }: Catalogue, { ofId }: ImageRelation): Source {
  for (const pool of pools) {
    const manifest = pool.volumes.get(ofId);
    if (manifest !== undefined) return { state: 'present', found: { pool, manifest } };
  }
  if (pools.some(({ removed }) => removed.has(ofId))) return { state: 'removed' };
  const isComplete = pools.every(({ isOpen, unreadable }) => isOpen && !unreadable.has(ofId));
  return { state: isComplete ? 'deleted' : 'unknown' };
}

function checkSamePool({ image, source }: ImagePair): void {
  if (image.pool.name === source.pool.name) return;
  const [text, of] = [volumeText(image.manifest), volumeText(source.manifest)];
  throw new RsError(
    'E_USAGE',
    `Image ${text} is in pool ${image.pool.name} and its volume ${of} in pool ${source.pool.name}: volume copy ${text} NEW --pool ${source.pool.name} makes a volume of it there`,
    { volume: text },
  );
}
