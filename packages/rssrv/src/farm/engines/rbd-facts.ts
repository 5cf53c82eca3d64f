// Facts about an image, and the decision whether a pool may lie on the image. Pure. Invariant: an image is refused if one of its features
// or settings could end a fence, keep data in a cache, or leave data where zeros were written.

import { RsError } from '@rsio/base/lib/errors';
import { list, map, misfit, object, type Of, text, whole } from '@rsio/base/lib/shape';

const number = whole(0, Number.MAX_SAFE_INTEGER);
const FACTS = object({
  /** Version of the cluster map of the OSD that has the image's header. */
  epoch: number,
  bytes: number,
  features: number,
  /** Addresses of the clients that have the image open for writing. */
  watchers: list(text()),
  /** Settings of the pool or of the image. They override the settings of a client. */
  settings: map(text()),
});
export type ImageFacts = Of<typeof FACTS>;

/** Features by which Ceph's tools ensure a single writer, each with its bit. A feature precedes the features that it depends on. */
const LOCKS: readonly (readonly [string, number])[] = [
  ['journaling', 64],
  ['fast-diff', 16],
  ['object-map', 8],
  ['exclusive-lock', 4],
];
const REFUSED: Readonly<Record<string, string>> = { rbd_skip_partial_discard: 'true', rbd_cache: 'true' };

/** Returns the facts if a pool may lie on the image `name`. Throws E_STORAGE otherwise. */
export function usable(name: string, value: unknown): ImageFacts {
  const wrong = misfit(FACTS, value, 'exactly');
  if (wrong !== null)
    throw new RsError('E_STORAGE', `Facts about image ${name} have no form (${wrong}): check the version of Ceph`, { name });
  const facts = value as ImageFacts;
  // If the image has an exclusive lock, each tool that waits for a hanging owner (rbd config, rbd resize) fences this owner for an hour.
  // Ceph then cannot replace this fence by a longer fence.
  const locks = LOCKS.filter(([, bit]) => (Math.floor(facts.features / bit) & 1) === 1).map(([feature]) => feature);
  if (locks.length > 0) {
    const command = `rbd feature disable ${name} ${locks.join(' ')}`;
    const sentence = `Image ${name} has the feature ${locks.at(-1)}, by which tools of Ceph fence servers: run ${command}`;
    throw new RsError('E_STORAGE', sentence, { name, locks });
  }
  const setting = Object.entries(facts.settings).find(([key, found]) => REFUSED[key] === found);
  if (setting === undefined) return facts;
  const [key, found] = setting;
  throw new RsError(
    'E_STORAGE',
    `Image ${name} or its pool has ${key} = ${found}, which is not safe here: rbd config image rm ${name} ${key}, or rbd config pool rm`,
    { name, key },
  );
}
