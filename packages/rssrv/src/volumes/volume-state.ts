// What the listener keeps of its volumes between two changes of the configuration, and what a change needs from outside. Plain data; volume-change.ts
// makes the change. Invariant: a state is replaced as a whole, never altered.

import type { Clock } from '@rsio/common/lib/clock';
import type { RsError } from '@rsio/common/lib/errors';
import type { Log } from '@rsio/common/log/log';
import type { Holder } from '@rsio/protocol/wire/messages';
import type { ServedVolume } from '../backends/io/served-volume.ts';
import type { takeLocks } from './file-locks.ts';
import type { VolumeFailure } from './volume-failures.ts';
import type { Storage, StoragePorts } from './volume-storage.ts';

export interface VolumePorts extends StoragePorts {
  /** `/var/lib/rsio/rssrv/volumes.json` below the root. */
  readonly idsFile: string;
  /** RUN, where volumes with test-lose-unsynced keep unsynced writes. */
  readonly runDirectory: string;
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** For tests: replaces the program that syncs descriptor 3 (storage-syncs.ts). */
  readonly syncCommand?: readonly string[] | undefined;
  /** A sync failed after its caller had stopped waiting: writes to the volume may be lost. */
  syncFailedLate(id: string): void;
  /** Default: with perl (file-locks.ts). */
  readonly takeLocks?: typeof takeLocks | undefined;
  /** Whether a client holds the volume of an id. */
  isHeld(id: string): boolean;
  /** The clients that hold the volume of an id. */
  holdersOf(id: string): readonly Holder[];
  /** Writes to the volume of an id may be lost: its holder sends what it has kept again. */
  incarnationEnded(id: string): Promise<void>;
}

/** A served volume with its storage. */
export interface HeldVolume {
  readonly storage: Storage;
  readonly served: ServedVolume;
  /** Why it is not served although it is open and locked: its storage was truncated. Null: it is served. */
  readonly cut: RsError | null;
}

/** The state between two changes. */
export interface VolumeState {
  /** Open volumes by volumeKey, in the order of the configuration. */
  readonly held: ReadonlyMap<string, HeldVolume>;
  readonly failures: readonly VolumeFailure[];
  /** Id of every configured volume, by volumeKey. */
  readonly ids: ReadonlyMap<string, string>;
}
