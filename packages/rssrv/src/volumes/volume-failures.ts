// Why a configured volume is not served, and who may know. Leaves finding it out to volume-storage.ts, volume-change.ts and volumes.ts.
// Invariant: storage that was cut is never made longer for the volume's sake, because what comes back then are zeros in place of data.

import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { RsError } from '@rsio/common/lib/errors';
import type { ServedVolume } from '../backends/common/served-volume.ts';
import { volumeError } from './volume-storage.ts';

export interface VolumeFailure {
  readonly name: string;
  readonly universe: number;
  /** Who may know of it; null: all clients. */
  readonly clients: readonly string[] | null;
  readonly error: RsError;
}

export function failureOf({ name, universe, clients }: ServerVolumeConfig, error: RsError): VolumeFailure {
  return { name, universe, clients, error };
}

/** The storage of a volume that is served ends before the volume. `presentBytes`: how long it was when it was looked at, if that is known. */
export function cutError(
  { storage, served }: { readonly storage: { readonly volume: ServerVolumeConfig }; readonly served: ServedVolume },
  presentBytes: number | null,
): RsError {
  const { path, sizeBytes } = served;
  const present = presentBytes === null || presentBytes >= sizeBytes ? '' : ` to ${presentBytes} bytes`;
  return volumeError(
    storage.volume,
    `${path ?? 'its storage'} was cut${present} while ${sizeBytes} bytes of it were served, and it is not served until it is whole`,
    `write its content back into the same file, then reload rssrv; if zeros are right, make it ${sizeBytes} bytes long with truncate(1) first`,
  );
}

/** A volume that somebody holds would come back smaller than he knows it. */
export function shrunkError(volume: ServerVolumeConfig, location: string, presentBytes: number, servedBytes: number): RsError {
  if (presentBytes >= servedBytes) {
    const what = `size is less than the ${servedBytes} bytes that were served of it, and a client holds it`;
    return volumeError(volume, what, `set size = ${servedBytes}, or detach the volume there first (rsconfig -d ${volume.name})`);
  }
  return volumeError(
    volume,
    `${location} has ${presentBytes} bytes, ${servedBytes} were served of it, and a client holds it`,
    `bring its content back; if zeros are right, make it ${servedBytes} bytes long with truncate(1)`,
  );
}

/** Two rssrv that serve one file destroy it, and nothing would keep the other one away. */
export function unlockedError(volume: ServerVolumeConfig, location: string | null): RsError {
  return volumeError(
    volume,
    `${location ?? 'its storage'} cannot be locked, so that another rssrv could serve it too`,
    'install perl (Debian: perl-base), by which files are locked; where the file system has no locks, see to it yourself and set unlocked = yes',
  );
}

/** What is said of the same file when its volume says `unlocked`. */
export function unlockedSentence({ name }: ServerVolumeConfig, location: string | null): string {
  return `${location ?? 'The storage'} of volume ${name} cannot be locked: take care that nobody else serves it`;
}
