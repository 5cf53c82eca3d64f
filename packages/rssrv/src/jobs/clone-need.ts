// A move or a copy of a volume reads the content of one moment, which a clone of its files has, and so does a replication. Pure. Invariant:
// what would fail because a file system cannot clone is refused before it begins, with a remedy that works there.

import { RsError } from '@rsio/base/lib/errors';
import { type Catalogue, type Found, partsOf, volumeText } from '../pools/catalogue.ts';

/** Throws E_NO_REFLINK if a file system with content of the volume is known to have no reflink. `verb`: such as `moved`. */
export function checkClones(catalogue: Catalogue, { pool, manifest }: Found, verb: string): void {
  const places = [pool, ...partsOf(catalogue, manifest).map((part) => part.pool)];
  const without = places.find(({ hasReflink }) => hasReflink === false);
  if (without !== undefined) throw noReflink(volumeText(manifest), without.name, verb);
}

export function noReflink(volume: string, pool: string, verb: string, cause?: unknown): RsError {
  return new RsError(
    'E_NO_REFLINK',
    `Volume ${volume} cannot be ${verb}, because the file system of pool ${pool} has no reflink: make a volume in a pool on XFS or btrfs, and ` +
      'copy the content on a client (qemu-img convert -n)',
    { volume, pool },
    cause,
  );
}
