// What the server offers to each client, and what it answers if a client asks for a volume that it does not offer. Pure. Invariant: a client
// sees only volumes that it may attach, also in refusals.

import type { Holder, OpenRequest, VolumeEntry } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { isFor, type ServedVolume } from '../backends/io/served-volume.ts';
import type { Grant } from '../session/session-volumes.ts';
import type { VolumeFailure } from '../volumes/volume-failures.ts';

/** Returns the volumes that this client may see and attach. */
export function offeredTo(node: string, served: readonly ServedVolume[]): ServedVolume[] {
  return served.filter((volume) => isFor(volume, node));
}

export function volumeEntry(volume: ServedVolume, holders: readonly Holder[]): VolumeEntry {
  const { name, id, universe, sizeBytes, blockSizeBytes, readonly, shared } = volume;
  return { name, id, universe, sizeBytes, blockSizeBytes, readonly, shared, holders };
}

/**
 * Returns the refusal of an OPEN for a volume that is not served. If the volume is known to be unavailable, the client waits; otherwise
 * there is no such volume for it. `server`: name of the server.
 */
export function notOffered(node: string, { name, universe }: OpenRequest, failures: readonly VolumeFailure[], server: string): Grant {
  const failure = failures.find((one) => one.name === name && one.universe === universe && isFor(one, node));
  const [status, sentence] =
    failure === undefined
      ? ([STATUS.UNKNOWN_VOLUME, `Server ${server} has no volume ${name} for this client`] as const)
      : ([STATUS.VOLUME_UNAVAILABLE, failure.error.message] as const);
  return { granted: false, status, sentence, holders: [] };
}
