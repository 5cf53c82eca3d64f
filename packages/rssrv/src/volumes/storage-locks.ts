// Decides which open storage the listener locks, and returns the error for storage that the listener may not serve. Locks the files of
// sections [volume]; the lock of a pool protects the files of the pool, and O_EXCL protects a device. All locks are released when the
// listener exits. Invariant: no storage is served while a worker of another listener has it open for writing.

import type { FileHandle } from 'node:fs/promises';
import type { RsError } from '@rsio/base/lib/errors';
import type { LockOutcome, LockRequest, takeLocks } from '../storage/locks/file-locks.ts';
import { markHolders, markName } from '../storage/locks/mark-holders.ts';
import type { Storage } from './open-storage.ts';
import { unlockedError } from './volume-failures.ts';
import { volumeError } from './volume-storage.ts';

/** The outcome for a volume: whether all its files could be locked, and whether other workers have a file open. */
export interface StorageLock {
  /** The worst outcome among the files of the volume. */
  readonly outcome: LockOutcome;
  /** The file with the worst outcome. */
  readonly path: string | null;
  /** Pid of the worker of another listener that has marked the file (mark-holders.ts); null if unknown, or if the file has no mark. */
  readonly holder: number | null;
}

interface LockedFile {
  readonly storage: Storage;
  readonly path: string | null;
  readonly handle: FileHandle;
  readonly request: LockRequest;
}

/** The outcomes, ordered from the best to the worst. */
const OUTCOMES: readonly LockOutcome[] = ['held', 'unavailable', 'silent', 'taken', 'marked'];

/** Locks the files of the given storages, and checks whether workers of other listeners have them open. */
export async function lockStorages(storages: readonly Storage[], take: typeof takeLocks): Promise<ReadonlyMap<Storage, StorageLock>> {
  const found: { readonly file: LockedFile; readonly outcome: LockOutcome | undefined }[] = [];
  const lockGroup = async (files: readonly LockedFile[]): Promise<void> => {
    const outcomes = await take(files.map(({ request }) => request));
    for (const [index, file] of files.entries()) found.push({ file, outcome: outcomes[index] });
  };
  await Promise.all(groupsOf(storages.flatMap(filesOf)).map(lockGroup));
  const names = new Map<LockedFile, string>();
  for (const { file, outcome } of found) if (outcome === 'marked') names.set(file, markName(await file.handle.stat({ bigint: true })));
  const holders = markHolders(new Set(names.values()));
  const locks = new Map<Storage, StorageLock>();
  for (const { file, outcome = 'unavailable' } of found) {
    const { storage, path } = file;
    const before = locks.get(storage);
    if (before !== undefined && OUTCOMES.indexOf(before.outcome) >= OUTCOMES.indexOf(outcome)) continue;
    locks.set(storage, { outcome, path, holder: holders.get(names.get(file) ?? '') ?? null });
  }
  return locks;
}

/** Returns true if another process uses the storage, which rssrv must then not change. */
export function isForeign(lock: StorageLock | undefined): boolean {
  return lock?.outcome === 'taken' || lock?.outcome === 'marked';
}

/** Returns the reason why the storage may not be served, or null if it may. */
export function lockError({ volume, type, path: first }: Storage, lock: StorageLock | undefined): RsError | null {
  if (lock === undefined) return null;
  const path = lock.path ?? first;
  switch (lock.outcome) {
    case 'held':
      return null;
    case 'marked': {
      const { holder } = lock;
      const what =
        holder === null ? 'a server process of another rssrv, perhaps on another machine' : `server process ${holder} of another rssrv`;
      return volumeError(
        volume,
        `${path} is still open in ${what}`,
        'stop that rssrv, or end the process if that rssrv was killed; the volume is then served without a reload',
      );
    }
    case 'taken':
      return volumeError(volume, `${path} is locked`, 'stop the other rssrv, its processes or the program that uses it');
    case 'silent':
      return volumeError(volume, `the file system of ${path} did not lock it in time`, 'check that file system, then reload');
    case 'unavailable':
      if (volume.pool !== undefined)
        return volumeError(
          volume,
          `${path} cannot be checked for other server processes that have it open`,
          'raise the limit of open files of rssrv, then reload',
        );
      // A memory volume needs no lock, because its file is always new. A device is opened exclusively.
      return volume.unlocked === true || type !== 'file' ? null : unlockedError(volume, path);
  }
}

/** Returns true if storage is served although it could not be locked. */
export function isUnlocked({ type }: Storage, lock: StorageLock | undefined): boolean {
  return lock?.outcome === 'unavailable' && type !== 'block';
}

/** Returns one group for each pool, because a file system that does not answer must not delay volumes of other pools. */
function groupsOf(files: readonly LockedFile[]): LockedFile[][] {
  const groups = new Map<string, LockedFile[]>();
  for (const file of files) {
    const pool = file.storage.volume.pool?.name ?? '';
    const group = groups.get(pool);
    if (group === undefined) groups.set(pool, [file]);
    else group.push(file);
  }
  return [...groups.values()];
}

function filesOf(storage: Storage): LockedFile[] {
  const { volume, type, path, handle, device, parts } = storage;
  if (type === 'null') return [];
  const all = parts ?? (handle === null ? [] : [{ path, handle, device }]);
  const isLook = volume.pool !== undefined || type === 'block';
  return all.map((file) => {
    const request = { descriptor: file.handle.fd, shared: volume.readonly && type === 'file' };
    return { storage, path: file.path, handle: file.handle, request: isLook ? { ...request, isLook, device: file.device } : request };
  });
}
