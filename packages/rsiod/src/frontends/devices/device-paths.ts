// Chooses the paths of a volume's block device and raw device. If the volume's key `path` is set, that key determines both paths of the
// volume in universe 0. Otherwise, the paths are /dev/avN/NAME and /dev/avN/rNAME, where N is the universe. Pure. Invariant: no volume name
// that a server sends leads to a path outside /dev/avN.

import path from 'node:path';
import { RsError } from '@rsio/base/lib/errors';
import { isStoredName, isSnapshotName } from '@rsio/base/lib/units';
import { servedNameParts } from '@rsio/base/lib/volume-name';

export interface DevicePlaces {
  readonly raw: string;
  readonly block: string;
}

interface Named {
  readonly namespace: string;
  readonly name: string;
  readonly universe: number;
}

/**
 * `configured` is the value of the volume's key `path`, or null if the key is not set. Throws E_VOLUME if the volume's name cannot be used
 * as a file name.
 */
export function devicePlaces(root: string, devDir: string, { name, universe }: Named, configured: string | null): DevicePlaces {
  if (configured !== null && universe === 0) {
    const block = root + path.posix.resolve('/', configured);
    return { block, raw: path.posix.join(path.posix.dirname(block), `r${path.posix.basename(block)}`) };
  }
  const { volume, snapshot } = servedNameParts(name);
  if (!isStoredName(volume) || (snapshot !== null && !isSnapshotName(snapshot)))
    throw new RsError(
      'E_VOLUME',
      `Volume ${JSON.stringify(name)} cannot have a device of that name: set path = in [volume], or use device = nbd-socket`,
    );
  const folder = `${devDir}/av${universe}`;
  return { block: `${folder}/${name}`, raw: `${folder}/r${name}` };
}

/** True if two volumes would have a device at the same path. */
export function overlaps(one: DevicePlaces, other: DevicePlaces): boolean {
  return [one.raw, one.block].some((place) => place === other.raw || place === other.block);
}
