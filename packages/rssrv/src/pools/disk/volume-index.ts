// An index of the volumes of a pool: by name, and the sum of the sizes of their first files. A change of one volume among many then looks at
// no other volume. Invariants: the index of a map says what an iteration over the map says. A map of volumes is never modified; an index is
// kept only for maps that cannot be modified.

import { VersionedMap } from '@rsio/base/structures/versioned-map';
import { type Manifest, partSizes } from './manifest.ts';

type VolumeMap = ReadonlyMap<string, Manifest>;
type Name = Pick<Manifest, 'name' | 'universe'>;

interface VolumeIndex {
  /** Sum of the sizes of the first files. */
  readonly firstBytes: number;
  /** Ids of the volumes with a name in a universe. A pool may have two, if a person has copied the folder of a volume. */
  readonly named: VersionedMap<readonly string[]>;
}

const indices = new WeakMap<VolumeMap, VolumeIndex>();

const nameKey = ({ name, universe }: Name): string => `${name}@${universe}`;
const firstBytesOf = (manifest: Manifest): number => partSizes(manifest)[0] ?? 0;

/** Returns the volumes with a new or changed volume. A new volume comes last. */
export function withManifest(volumes: VolumeMap, manifest: Manifest): VolumeMap {
  const before = VersionedMap.of(volumes);
  const was = before.get(manifest.id);
  return followed(before, before.with(manifest.id, manifest), was, manifest);
}

export function withoutManifest(volumes: VolumeMap, id: string): VolumeMap {
  const was = volumes.get(id);
  if (was === undefined) return volumes;
  const before = VersionedMap.of(volumes);
  return followed(before, before.without([id]), was, undefined);
}

/** Returns the sum of the sizes of the first files of all volumes. */
export function firstBytesIn(volumes: VolumeMap): number {
  return indexOf(volumes).firstBytes;
}

/** Returns the volumes with this name, in the order of the map. */
export function volumesNamed(volumes: VolumeMap, wanted: Name): readonly Manifest[] {
  const ids = indexOf(volumes).named.get(nameKey(wanted)) ?? [];
  if (ids.length > 1) return [...volumes.values()].filter((manifest) => nameKey(manifest) === nameKey(wanted));
  return ids.flatMap((id) => volumes.get(id) ?? []);
}

function indexOf(volumes: VolumeMap): VolumeIndex {
  const known = indices.get(volumes);
  if (known !== undefined) return known;
  const named = new Map<string, readonly string[]>();
  let firstBytes = 0;
  for (const [id, manifest] of volumes) {
    named.set(nameKey(manifest), [...(named.get(nameKey(manifest)) ?? []), id]);
    firstBytes += firstBytesOf(manifest);
  }
  const index = { firstBytes, named: VersionedMap.of(named) };
  if (volumes instanceof VersionedMap) indices.set(volumes, index);
  return index;
}

/** Derives the index of the volumes after a change of one volume, if the volumes had one before. */
function followed(before: VolumeMap, after: VolumeMap, was: Manifest | undefined, now: Manifest | undefined): VolumeMap {
  const index = indices.get(before);
  if (index === undefined || after === before) return after;
  const firstBytes = index.firstBytes - (was === undefined ? 0 : firstBytesOf(was)) + (now === undefined ? 0 : firstBytesOf(now));
  // A sum of this size is inexact, and depends on the order of the summands: it is made again.
  if (!Number.isSafeInteger(index.firstBytes) || !Number.isSafeInteger(firstBytes)) return after;
  let { named } = index;
  if (was !== undefined && (now === undefined || nameKey(was) !== nameKey(now))) {
    const others = (named.get(nameKey(was)) ?? []).filter((id) => id !== was.id);
    named = others.length === 0 ? named.without([nameKey(was)]) : named.with(nameKey(was), others);
  }
  if (now !== undefined && (was === undefined || nameKey(was) !== nameKey(now)))
    named = named.with(nameKey(now), [...(named.get(nameKey(now)) ?? []), now.id]);
  indices.set(after, { firstBytes, named });
  return after;
}
