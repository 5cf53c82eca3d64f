// Describes why a configured volume is not served, and which clients may know the reason. After a start or a reload, a held volume is
// served only if it is unchanged. The holder keeps acknowledged writes in memory, and would send them to any storage served under the
// volume's name (docs/PROTOCOL.md H5). Pure. Invariant: the truncated storage of a served or held volume is never extended to its former
// size, because the lost data would then read as zeros.

import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { RsError } from '@rsio/base/lib/errors';
import type { Holder } from '@rsio/protocol/wire/messages';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import { isSameStamp } from '../storage/files/storage-identity.ts';
import type { VolumeFacts } from './volume-ids.ts';
import { heldBy } from './volume-plan.ts';
import { volumeError } from './volume-storage.ts';

export interface VolumeFailure {
  readonly name: string;
  readonly universe: number;
  /** Names of the clients that may know of the failure; null means all clients. */
  readonly clients: readonly string[] | null;
  readonly error: RsError;
  /**
   * The pool and the files of the volume, if a worker of another listener has one of the files open. The volume then waits until this
   * worker ends. Undefined in other cases.
   */
  readonly marked?: { readonly pool: string | null; readonly files: readonly string[] };
}

export function failureOf({ name, universe, clients }: ServerVolumeConfig, error: RsError): VolumeFailure {
  return { name, universe, clients, error };
}

/**
 * Returns the error for a served volume whose storage has been found shorter than the volume. `presentBytes`: the measured size of the
 * storage, if known.
 */
export function cutError(
  { storage, served }: { readonly storage: { readonly volume: ServerVolumeConfig }; readonly served: ServedVolume },
  presentBytes: number | null,
): RsError {
  const { path, sizeBytes } = served;
  const present = presentBytes === null || presentBytes >= sizeBytes ? '' : ` to ${presentBytes} bytes`;
  return volumeError(
    storage.volume,
    `${path ?? 'its storage'} was truncated${present} while ${sizeBytes} bytes of it were served, and it is not served until it is whole`,
    `restore its content in the same file, then reload rssrv; if zeros are correct, first make it ${sizeBytes} bytes long with truncate(1)`,
  );
}

/** Returns the error for a held volume that is now smaller than when it was last served. */
export function shrunkError(volume: ServerVolumeConfig, location: string, presentBytes: number, servedBytes: number): RsError {
  if (presentBytes >= servedBytes) {
    const what = `size is less than the ${servedBytes} bytes served before, and a client holds it`;
    return volumeError(volume, what, `set size = ${servedBytes}, or detach the volume there first (rsconfig -d ${volume.name})`);
  }
  return volumeError(
    volume,
    `${location} has ${presentBytes} bytes, ${servedBytes} were served before, and a client holds it`,
    `restore its content; if zeros are correct, make it ${servedBytes} bytes long with truncate(1)`,
  );
}

/** Returns the error for a volume whose file is shorter than its content was: the size in its manifest, or the size last served. */
export function shortFileError(volume: ServerVolumeConfig, location: string, presentBytes: number, sizeBytes: number): RsError {
  return volumeError(
    volume,
    `${location} has ${presentBytes} bytes, but the volume has ${sizeBytes}`,
    `restore its content; if zeros are correct, make it ${sizeBytes} bytes long with truncate(1), then reload`,
  );
}

/**
 * Returns the error for a file that cannot be locked. Without a lock, another rssrv could serve the same file at the same time and destroy
 * its content.
 */
export function unlockedError(volume: ServerVolumeConfig, location: string | null): RsError {
  return volumeError(
    volume,
    `${location ?? 'its storage'} cannot be locked, and another rssrv could serve it, too`,
    'use a file system that has locks, or make sure that no other program uses it and set unlocked = yes',
  );
}

/** Returns the warning about a file that is served although it cannot be locked. */
export function unlockedSentence({ name }: ServerVolumeConfig, location: string | null): string {
  return `${location ?? 'The storage'} of volume ${name} cannot be locked: make sure that no other program uses it`;
}

/** Returns true if the administrator has confirmed that the new storage has the content of the old storage. */
export function isConfirmed(volume: ServerVolumeConfig, before: VolumeFacts, now: VolumeFacts): boolean {
  return !isSameStamp(before.stamp, now.stamp) && volume.sameContent === now.stamp;
}

/** Returns the reason why a held volume must not be served on its current storage; null if it may be served. */
export function changedUnderHolders(
  volume: ServerVolumeConfig,
  before: VolumeFacts,
  now: VolumeFacts,
  holders: readonly Holder[],
): RsError | null {
  const isReplica = volume.pool?.replica !== undefined;
  if (holders.length === 0 && !isReplica) return null;
  const changed = (['readonly', 'shared', 'blocksize'] as const).filter((key) => before[key] !== now[key]);
  if (changed.length > 0) {
    const was = changed.map((key) => `${key} = ${shown(before[key])}`).join(', ');
    const what = `its ${changed.join(', ')} changed since it was last served, and ${heldBy(holders)}`;
    return volumeError(volume, what, `set ${was} again; to change it, detach the volume there first (rsconfig -d ${volume.name})`);
  }
  if (isSameStamp(before.stamp, now.stamp) || isConfirmed(volume, before, now)) return null;
  const location = volume.path ?? `type ${volume.type}`;
  if (isReplica)
    return volumeError(
      volume,
      `${location} is not the file that it has as a replica (${now.stamp}, not ${before.stamp}), and may have older data`,
      `restore that file; if it is lost, rsadm volume split ${volume.name} makes this an ordinary volume, which can become a new replica`,
    );
  const what = `${location} is not the file or device that it was last served from (${now.stamp}, not ${before.stamp}), and ${heldBy(holders)}`;
  const remedy =
    volume.pool === undefined
      ? `if this one has the same content, set same-content = ${now.stamp}; if its content differs, give the volume another id =; then reload`
      : `if this one has the same content, run rsadm volume set ${volume.name} same-content=${now.stamp}`;
  return volumeError(volume, what, `restore that one; ${remedy}`);
}

/** For a pool volume without a holder: returns the warning if the stamp of the file differs from the stamp in the manifest, else null. */
export function replacedWarning(volume: ServerVolumeConfig, before: VolumeFacts, now: VolumeFacts): string | null {
  if (isSameStamp(before.stamp, now.stamp)) return null;
  return (
    `Volume ${volume.name}: ${volume.path ?? ''} is not the file that it was created with, and a start will refuse it while a client ` +
    `holds the volume: if it has the right content, run rsadm volume set ${volume.name} same-content=${now.stamp ?? ''}`
  );
}

function shown(value: boolean | number): string {
  return typeof value === 'number' ? String(value) : value ? 'yes' : 'no';
}
