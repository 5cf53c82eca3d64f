// The paths of a volume's devices: the configured `path`, otherwise /dev/avN/NAME and /dev/avN/rNAME, where N is the universe. Pure.
// Invariant: a name from a server never leads to a path outside the folder.

import path from 'node:path';
import { RsError } from '@rsio/common/lib/errors';

export interface DevicePlaces {
  readonly raw: string;
  readonly block: string;
}

interface Named {
  readonly namespace: string;
  readonly name: string;
  readonly universe: number;
}

const NAME_FORM = /^[A-Za-z0-9_.-]{1,63}$/;

/** `configured`: the value of the volume's key `path`, or null. Throws E_VOLUME for a name that cannot be a file name. */
export function devicePlaces(root: string, devDir: string, { name, universe }: Named, configured: string | null): DevicePlaces {
  if (configured !== null) {
    const block = root + path.posix.resolve('/', configured);
    return { block, raw: path.posix.join(path.posix.dirname(block), `r${path.posix.basename(block)}`) };
  }
  if (!NAME_FORM.test(name) || name === '.' || name === '..')
    throw new RsError(
      'E_VOLUME',
      `Volume ${JSON.stringify(name)} cannot have a device of that name: set path = in [volume], or use device = nbd-socket`,
    );
  const folder = `${devDir}/av${universe}`;
  return { block: `${folder}/${name}`, raw: `${folder}/r${name}` };
}

/** True if the paths of two volumes collide: the raw device of one may have the path of the other's block device. */
export function overlaps(one: DevicePlaces, other: DevicePlaces): boolean {
  return [one.raw, one.block].some((place) => place === other.raw || place === other.block);
}
