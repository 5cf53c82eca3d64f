// Defines the types of the listener's data about its volumes, and of the ports that a configuration change needs. Invariant: a state is
// replaced as a whole and never modified.

import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/base/lib/clock';
import type { Log } from '@rsio/base/log/log';
import type { VersionedMap } from '@rsio/base/structures/versioned-map';
import type { Holder } from '@rsio/protocol/wire/messages';
import type { takeLocks } from '../storage/locks/file-locks.ts';
import type { VolumeFailure } from './volume-failures.ts';
import { type HeldVolume, HeldVolumes } from './held-volumes.ts';
import { volumeKey } from './volume-ids.ts';
import type { StoragePorts } from './volume-storage.ts';

export interface VolumePorts extends StoragePorts {
  /** Path of the file `/var/lib/rsio/rssrv/volumes.json` below the root. */
  readonly idsFile: string;
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** For tests: replaces the program that syncs descriptor 3 (storage-syncs.ts). */
  readonly syncCommand?: readonly string[] | undefined;
  /** Called when a sync fails after its caller has received E_TIMEOUT. Writes to the volume may be lost. */
  syncFailedLate(id: string): void;
  /** Called when the workers of other listeners have closed the volumes `keys`. Opens these volumes, and resolves after the attempt. */
  unmarked?(keys: ReadonlySet<string>): Promise<void>;
  /** Takes the locks. If `takeLocks` is undefined, the function in file-locks.ts takes the locks. */
  readonly takeLocks?: typeof takeLocks | undefined;
  isHeld(id: string): boolean;
  /**
   * True if this process has created the file of a pool volume, and no worker has opened the file yet. A file that no worker has
   * opened yet needs no lock.
   */
  isNew?(id: string): boolean;
  holdersOf(id: string): readonly Holder[];
  /** Called when writes to the volume with this id may be lost. The holder then resends the writes in its replay log. */
  incarnationEnded(id: string): Promise<void>;
}

export interface VolumeState {
  /** The open volumes. */
  readonly held: HeldVolumes;
  readonly failures: readonly VolumeFailure[];
  /** The id of every configured volume, keyed by volumeKey. */
  readonly ids: VersionedMap<string>;
}

export interface HeldChange {
  /** The volumes that were open before the change. None, if the plan covers the whole configuration. */
  readonly before: HeldVolumes;
  /** Keys of all volumes that the plan lists. */
  readonly mentioned: ReadonlySet<string>;
  /** The volumes that the plan opens or keeps, keyed by volumeKey. `mentioned` contains all keys of this map. */
  readonly changed: ReadonlyMap<string, HeldVolume>;
}

/** Returns the volumes that are open after a change, in the order of `configured`, the list of all configured volumes. */
export function heldAfter({ before, mentioned, changed }: HeldChange, configured: readonly ServerVolumeConfig[]): HeldVolumes {
  const last = configured.at(-1);
  const lastKey = last === undefined ? null : volumeKey(last);
  const isInOrder = before.size > 0 && [...changed.keys()].every((key) => before.get(key) !== undefined || key === lastKey);
  // A command usually changes one volume of many, and usually the last volume in the order. No other volume is then looked at.
  if (isInOrder) {
    let held = before.without([...mentioned].filter((key) => !changed.has(key)));
    for (const [key, one] of changed) held = held.with(key, one);
    return held;
  }
  const held = new Map<string, HeldVolume>();
  for (const volume of configured) {
    const key = volumeKey(volume);
    const one = changed.get(key) ?? (mentioned.has(key) ? undefined : before.get(key));
    if (one !== undefined) held.set(key, one);
  }
  return HeldVolumes.of(held);
}
