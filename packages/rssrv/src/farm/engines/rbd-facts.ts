// Facts about an image, and which images a pool may lie on. Pure.

import { RsError } from '@rsio/common/lib/errors';
import { list, map, misfit, object, type Of, text, whole } from '@rsio/common/lib/shape';

const number = whole(0, Number.MAX_SAFE_INTEGER);
const FACTS = object({
  /** Version of the map of the cluster, which the OSD of the image's header has. */
  epoch: number,
  bytes: number,
  features: number,
  /** Addresses of the clients that have the image open for writing. */
  watchers: list(text()),
  /** Settings of the pool or of the image. They override those of a client. */
  settings: map(text()),
});
export type ImageFacts = Of<typeof FACTS>;

const EXCLUSIVE_LOCK = 4;
const REFUSED: Readonly<Record<string, string>> = { rbd_skip_partial_discard: 'true', rbd_cache: 'true', rbd_persistent_cache_mode: '' };

/** Returns the facts if a pool may lie on the image `name`. Throws E_STORAGE otherwise. */
export function usable(name: string, value: unknown): ImageFacts {
  const wrong = misfit(FACTS, value, 'exactly');
  if (wrong !== null)
    throw new RsError('E_STORAGE', `Facts about image ${name} have no form (${wrong}): check the version of Ceph`, { name });
  const facts = value as ImageFacts;
  if ((Math.floor(facts.features / EXCLUSIVE_LOCK) & 1) === 1) {
    // With this feature, each tool that waits for a hanging owner (rbd config, rbd resize) fences it for an hour, and a longer fence can
    // then not be added.
    throw new RsError(
      'E_STORAGE',
      `Image ${name} has the feature exclusive-lock, with which tools of Ceph fence servers: rbd feature disable ${name} exclusive-lock`,
      { name, features: facts.features },
    );
  }
  const setting = Object.entries(facts.settings).find(
    ([key, found]) => REFUSED[key] === found || (REFUSED[key] === '' && found !== 'disabled'),
  );
  if (setting === undefined) return facts;
  const [key, found] = setting;
  throw new RsError(
    'E_STORAGE',
    `Image ${name} or its pool has ${key} = ${found}, which is not safe here: rbd config image rm ${name} ${key}, or rbd config pool rm`,
    { name, key },
  );
}
