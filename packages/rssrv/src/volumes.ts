// The listener's side of the volumes: settles for each configured one its id, type and size, and holds its storage open and
// locked as long as it is served. One bad volume stops no other. Workers open the storage again for themselves
// (backends/open-backend.ts).

import type { RssrvConfig, ServerVolumeConfig } from '@rsio/protocol/config/types';
import { type RsError, toRsError } from '@rsio/protocol/lib/errors';
import type { Log } from '@rsio/protocol/lib/log';
import { type LockOutcome, takeLocks } from './file-locks.ts';
import type { ServedVolume } from './served-volume.ts';
import { volumeIds, volumeKey } from './volume-ids.ts';
import { openStorage, releaseStorage, type Storage, settleSize, storageIdentity, volumeError } from './volume-storage.ts';

export interface VolumePaths {
  /** `/var/lib/rsio/rssrv/volumes.json` below the root. */
  readonly idsFile: string;
  /** Where the files of memory volumes are made: on a memory file system, `/dev/shm`. */
  readonly memoryDirectory: string;
}

/** What is said while volumes are prepared. */
export type VolumeLog = Pick<Log, 'info' | 'warn'>;

export interface VolumeFailure {
  readonly name: string;
  readonly universe: number;
  readonly error: RsError;
}

export interface PreparedVolumes {
  readonly volumes: readonly ServedVolume[];
  /** Configured volumes that cannot be served, each with its reason; for the listener to log. */
  readonly failures: readonly VolumeFailure[];
  /** Gives descriptors and locks up and removes memory volumes: only when no worker uses them any more. */
  close(): Promise<void>;
}

/** Throws E_SYSTEM when the ids of the volumes cannot be read or kept; all else is a failure of one volume. */
export async function prepareVolumes(config: RssrvConfig, paths: VolumePaths, log: VolumeLog): Promise<PreparedVolumes> {
  const ids = await volumeIds(paths.idsFile, config.volumes);
  const failures: VolumeFailure[] = [];
  const fail = (volume: ServerVolumeConfig, thrown: unknown): void => {
    failures.push({ name: volume.name, universe: volume.universe, error: toRsError(thrown) });
  };
  const opened = await openAll(config.volumes, ids, paths, fail);
  const outcomes = await lockAll(opened);
  const held: Storage[] = [];
  const volumes: ServedVolume[] = [];
  for (const storage of opened) {
    try {
      volumes.push(await settle(storage, outcomes.get(storage), log));
      held.push(storage);
    } catch (thrown) {
      fail(storage.volume, thrown);
      await giveUp(storage, outcomes.get(storage));
    }
  }
  return {
    volumes,
    failures,
    close: async () => {
      for (const storage of held.splice(0)) await releaseStorage(storage);
    },
  };
}

async function openAll(
  configured: readonly ServerVolumeConfig[],
  ids: ReadonlyMap<string, string>,
  paths: VolumePaths,
  fail: (volume: ServerVolumeConfig, thrown: unknown) => void,
): Promise<Storage[]> {
  const opened: Storage[] = [];
  const seen = new Map<string, ServerVolumeConfig>();
  for (const volume of configured) {
    const id = ids.get(volumeKey(volume)) ?? '';
    try {
      const sameId = seen.get(`id ${id}`);
      if (sameId !== undefined) throw volumeError(volume, `it has id ${id}, which volume ${sameId.name} has`, 'give it another id =');
      const storage = await openStorage(volume, id, paths.memoryDirectory);
      const identity = await storageIdentity(storage);
      const other = identity === null ? undefined : seen.get(identity);
      if (other !== undefined && !(other.readonly && volume.readonly)) {
        await storage.handle?.close();
        throw volumeError(volume, `${storage.path} is already volume ${other.name}`, 'give it another path =, or make both readonly');
      }
      seen.set(`id ${id}`, volume);
      if (identity !== null) seen.set(identity, volume);
      opened.push(storage);
    } catch (thrown) {
      fail(volume, thrown);
    }
  }
  return opened;
}

/** Devices need no lock: they are opened exclusively. */
async function lockAll(storages: readonly Storage[]): Promise<ReadonlyMap<Storage, LockOutcome>> {
  const locked = storages.filter((storage) => storage.type === 'file' || storage.type === 'memory');
  const outcomes = await takeLocks(
    locked.flatMap(({ handle, volume, type }) =>
      handle === null ? [] : [{ descriptor: handle.fd, shared: volume.readonly && type === 'file' }],
    ),
  );
  return new Map(locked.map((storage, index) => [storage, outcomes[index] ?? 'unavailable']));
}

async function settle(storage: Storage, lock: LockOutcome | undefined, log: VolumeLog): Promise<ServedVolume> {
  const { volume, id, type, path } = storage;
  if (lock === 'taken') throw volumeError(volume, `${path} is locked`, 'stop the other rssrv or program that uses it');
  if (lock === 'unavailable') {
    log.warn(`${path} of volume ${volume.name} cannot be locked: take care that nobody else serves it`, { volume: volume.name });
  }
  const { sizeBytes, grownFromBytes } = await settleSize(storage);
  if (grownFromBytes !== null && type === 'file') {
    const what = storage.created ? 'Created' : `Grown from ${grownFromBytes} bytes:`;
    log.info(`${what} ${path} of volume ${volume.name} with ${sizeBytes} bytes`, { volume: volume.name });
  }
  const { name, universe, blockSizeBytes, readonly, shared, clients } = volume;
  return { name, universe, id, type, path, sizeBytes, blockSizeBytes, readonly, shared, clients };
}

/** A file that is somebody else's is closed and nothing more. */
async function giveUp(storage: Storage, lock: LockOutcome | undefined): Promise<void> {
  if (lock === 'taken') await storage.handle?.close();
  else await releaseStorage(storage);
}
