// What the listener keeps of its volumes between two changes of the configuration, and what it needs from outside to make one. Plain data.
// The change itself is volume-change.ts's. Invariant: a state is replaced as a whole, never altered.

import type { Clock } from '@rsio/common/lib/clock';
import type { RsError } from '@rsio/common/lib/errors';
import type { Log } from '@rsio/common/log/log';
import type { Holder } from '@rsio/protocol/wire/messages';
import type { ServedVolume } from '../backends/common/served-volume.ts';
import type { takeLocks } from './file-locks.ts';
import type { VolumeFailure } from './volume-failures.ts';
import type { Storage, StoragePorts } from './volume-storage.ts';

export interface VolumePorts extends StoragePorts {
  /** `/var/lib/rsio/rssrv/volumes.json` below the root. */
  readonly idsFile: string;
  /** RUN: where volumes with test-lose-unsynced keep what was not synced. */
  readonly runDirectory: string;
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** Instead of the program that syncs descriptor 3 (storage-syncs.ts), for tests. */
  readonly syncCommand?: readonly string[] | undefined;
  /** A sync of the volume failed for which nobody waits any more: what was written to it may be lost. */
  syncFailedLate(id: string): void;
  /** Default: by perl (file-locks.ts). */
  readonly takeLocks?: typeof takeLocks | undefined;
  /** Whether somebody holds the volume of an id. */
  isHeld(id: string): boolean;
  /** Who holds the volume of an id. */
  holdersOf(id: string): readonly Holder[];
  /** What was written to the volume of an id may be lost: whoever holds it sends again what he has kept. */
  incarnationEnded(id: string): Promise<void>;
}

/** A volume that is served, with what it stands on. */
export interface HeldVolume {
  readonly storage: Storage;
  readonly served: ServedVolume;
  /** Why it is served no more, though it is open and locked: its storage was cut. Null: it is served. */
  readonly cut: RsError | null;
}

/** What is so from one change to the next. */
export interface VolumeState {
  /** In the order of the configuration, by volumeKey; of those that are open. */
  readonly held: ReadonlyMap<string, HeldVolume>;
  readonly failures: readonly VolumeFailure[];
  /** Of every configured volume, by volumeKey. */
  readonly ids: ReadonlyMap<string, string>;
}
