// Opens what one configured volume stands on, for the listener: finds out its type, creates and grows files, makes memory
// files, and says in a sentence what is wrong. The listener keeps the descriptor, so that a write-back error between two
// workers is not lost and the lock on it is held. Order: open, lock (volumes.ts), then settle the size: nothing of a file that
// somebody else serves is changed.

import type { BigIntStats } from 'node:fs';
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, rm, stat, truncate } from 'node:fs/promises';
import path from 'node:path';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { syncDirectory } from '@rsio/common/files/durable-file';
import { errnoName, errnoRemedy, RsError } from '@rsio/common/lib/errors';
import { VOLUME_MAX_BYTES } from '@rsio/common/lib/limits';
import { blockDeviceFacts } from '../backends/files/block-device.ts';
import { storageName } from '../backends/files/storage-name.ts';
import type { FileSystemOf } from '../sys/file-system.ts';
import { takeLocks } from './file-locks.ts';
import type { ServedVolume } from '../backends/common/served-volume.ts';

export interface Storage {
  readonly volume: ServerVolumeConfig;
  readonly id: string;
  readonly type: ServedVolume['type'];
  readonly path: string | null;
  /** Held as long as the volume is served; null: type null. */
  readonly handle: FileHandle | null;
  readonly isCreated: boolean;
}

export interface StoragePorts {
  /** Where the files of memory volumes are made: a folder of this user alone on a memory file system; made where it is missing. */
  readonly memoryDirectory: string;
  /** Of a directory that is there. */
  readonly fileSystemOf: FileSystemOf;
}

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, S_IFMT, S_IFDIR } = constants;
const CREATED_MODE = 0o600;

/** An E_VOLUME: `what` is wrong with the volume, `remedy` is what to do. */
export function volumeError(volume: ServerVolumeConfig, what: string, remedy: string, cause?: unknown): RsError {
  const errno = errnoName(cause);
  return new RsError(
    'E_VOLUME',
    `Volume ${volume.name}: ${what}${errno === undefined ? '' : ` (${errno})`}: ${errnoRemedy(errno) ?? remedy}`,
    { volume: volume.name, path: volume.path, errno },
    cause,
  );
}

/**
 * Opens the storage of a volume; a file that is missing is created, unless the volume was served from it before (`wasThere`): then its
 * content is missing, and nothing else may be served in its place. Throws E_VOLUME.
 */
export async function openStorage(
  volume: ServerVolumeConfig,
  id: string,
  { memoryDirectory, fileSystemOf }: StoragePorts,
  wasThere = false,
): Promise<Storage> {
  if (volume.sizeBytes !== null) checkSize(volume, volume.sizeBytes, 'size');
  if (volume.type === 'memory' || volume.type === 'null') {
    if (volume.sizeBytes === null) throw volumeError(volume, `type ${volume.type} has no size of its own`, 'set size =');
    if (volume.type === 'null') return { volume, id, type: 'null', path: null, handle: null, isCreated: false };
    return openMemoryFile(volume, id, memoryDirectory);
  }
  const { path: location, kind } = await inspectLocation(volume, fileSystemOf);
  if (kind === 'missing' && wasThere) {
    const remedy = 'bring it back (is its file system mounted?), or make an empty one there to begin anew';
    throw volumeError(volume, `${location}, which holds its content, is missing`, remedy);
  }
  switch (kind) {
    case 'missing':
      return createFile(volume, id, location);
    case 'block':
      return openDevice(volume, id, location);
    case 'file':
      return openExisting(volume, id, location);
  }
}

interface StorageLocation {
  readonly path: string;
  /** `missing`: a file can be made there. */
  readonly kind: 'missing' | 'file' | 'block';
  readonly stats: BigIntStats | null;
}

/** What is where a file or device should be; opens nothing. Throws E_VOLUME when it is, or would be, nothing that can be served. */
export async function inspectLocation(volume: ServerVolumeConfig, fileSystemOf: FileSystemOf): Promise<StorageLocation> {
  const { path: location, type } = volume;
  if (location === null) throw volumeError(volume, 'it has no path', 'set path =');
  if (!path.isAbsolute(location)) throw volumeError(volume, `path ${location} is not absolute`, 'begin it with /');
  const stats = await statOrNull(volume, location);
  if (stats?.isBlockDevice() === true && type !== 'file') return { path: location, kind: 'block', stats };
  if (stats?.isFile() === true && type !== 'block') return { path: location, kind: 'file', stats };
  if (stats !== null || type === 'block') {
    const wanted = type === 'auto' ? 'regular file or block device' : type === 'file' ? 'regular file' : 'block device';
    throw volumeError(volume, `${location} is no ${wanted}`, 'correct path = or type =');
  }
  if (volume.sizeBytes === null) throw volumeError(volume, `${location} does not exist and has no size`, 'create it, or set size =');
  const directory = path.dirname(location);
  if ((await statOrNull(volume, directory)) === null) {
    throw volumeError(volume, `directory ${directory} does not exist`, 'create it, or correct path =');
  }
  // A file with the name of a device that is not there would be a disk in memory.
  const system = await fileSystemOf(directory);
  if (system === 'devices' || system === 'ramfs') {
    const where = system === 'devices' ? 'below /dev' : `on a ${system}`;
    const remedy = 'bring the device up if it is one, correct path =, or set type = memory';
    throw volumeError(volume, `${location} does not exist, and no file is made ${where}, where the next boot loses it`, remedy);
  }
  return { path: location, kind: 'missing', stats };
}

/** Identity of the storage: equal for two names of one file or device; null where it cannot be shared. */
export async function storageIdentity(storage: Storage): Promise<string | null> {
  return storage.handle === null ? null : storageName(await storage.handle.stat({ bigint: true }));
}

/** What `storageIdentity` would be, of storage that is there and is not opened yet; null: it is not there. */
export async function namedIdentity(volume: ServerVolumeConfig): Promise<string | null> {
  if (volume.path === null || volume.type === 'memory' || volume.type === 'null') return null;
  const stats = await stat(volume.path, { bigint: true }).catch(() => null);
  return stats === null ? null : storageName(stats);
}

/**
 * The size served, in bytes, a multiple of the block size. The configured size counts, and a smaller file is grown to it; a
 * larger file keeps its size and only its beginning is served. Without a configured size: the file's or device's, rounded
 * down to whole blocks. `isInUse`: clients may be writing. Throws E_VOLUME, also when the path no longer names the opened file.
 */
export async function settleSize(
  storage: Storage,
  isInUse = false,
): Promise<{ readonly sizeBytes: number; readonly grownFromBytes: number | null }> {
  const { volume, handle } = storage;
  if (handle === null || storage.path === null) return { sizeBytes: volume.sizeBytes ?? 0, grownFromBytes: null };
  const { presentBytes, sizeBytes } = await measure(storage);
  if (presentBytes >= sizeBytes) return { sizeBytes, grownFromBytes: null };
  try {
    // By name: the descriptor of a read-only volume cannot do it.
    await truncate(storage.path, sizeBytes);
    // A file in use may have much to write; how large it has to be says the configuration, also to the next start.
    if (!isInUse) await handle.sync();
  } catch (thrown) {
    throw volumeError(volume, `${storage.path} cannot be grown from ${presentBytes} to ${sizeBytes} bytes`, 'lower size =', thrown);
  }
  return { sizeBytes, grownFromBytes: presentBytes };
}

/** How large opened storage is, and how large the volume on it. Throws E_VOLUME as `settleSize` does. */
export async function measure(storage: Storage): Promise<{ readonly presentBytes: number; readonly sizeBytes: number }> {
  const { volume, handle } = storage;
  if (handle === null || storage.path === null) return { presentBytes: volume.sizeBytes ?? 0, sizeBytes: volume.sizeBytes ?? 0 };
  const stats = await handle.stat({ bigint: true });
  const named = await statOrNull(volume, storage.path);
  if (named === null || named.ino !== stats.ino || named.dev !== stats.dev) {
    throw volumeError(volume, `${storage.path} is not the file that was opened any more`, 'put that back, or restart rssrv');
  }
  return fittingSize(volume, storage.path, stats);
}

/** How large what is there is, and how large the volume on it. Throws E_VOLUME when a volume of that size cannot be on it. */
export function fittingSize(
  volume: ServerVolumeConfig,
  location: string,
  stats: BigIntStats,
): { readonly presentBytes: number; readonly sizeBytes: number } {
  const presentBytes = stats.isBlockDevice() ? deviceSize(volume, stats) : Number(stats.size);
  const sizeBytes = volume.sizeBytes ?? presentBytes - (presentBytes % volume.blockSizeBytes);
  checkSize(volume, sizeBytes, location);
  if (stats.isBlockDevice() && presentBytes < sizeBytes) {
    throw volumeError(volume, `device ${location} has ${presentBytes} bytes, size says ${sizeBytes}`, 'lower size = or leave it out');
  }
  return { presentBytes, sizeBytes };
}

/** Gives the storage up; memory is gone with it. */
export async function releaseStorage(storage: Storage): Promise<void> {
  if (storage.type === 'memory' && storage.path !== null) await rm(storage.path, { force: true });
  await storage.handle?.close();
}

/** Gives up what was never served: a file that was created for it goes, too. */
export async function discardStorage(storage: Storage): Promise<void> {
  if (storage.isCreated && storage.path !== null) await rm(storage.path, { force: true });
  await storage.handle?.close();
}

function checkSize(volume: ServerVolumeConfig, sizeBytes: number, what: string): void {
  const { blockSizeBytes } = volume;
  if (sizeBytes < blockSizeBytes) {
    throw volumeError(volume, `${what} is less than one block of ${blockSizeBytes} bytes`, 'set a larger size =');
  }
  if (sizeBytes % blockSizeBytes !== 0) {
    throw volumeError(volume, `${what} is ${sizeBytes} bytes, no multiple of the block size ${blockSizeBytes}`, 'round size =');
  }
  if (sizeBytes > VOLUME_MAX_BYTES) {
    throw volumeError(volume, `${what} is ${sizeBytes} bytes, more than ${VOLUME_MAX_BYTES}`, 'set a smaller size =');
  }
}

async function statOrNull(volume: ServerVolumeConfig, file: string): Promise<BigIntStats | null> {
  try {
    return await stat(file, { bigint: true });
  } catch (thrown) {
    if (errnoName(thrown) === 'ENOENT') return null;
    throw volumeError(volume, `${file} cannot be looked at`, 'see that rssrv may read its directories', thrown);
  }
}

async function createFile(volume: ServerVolumeConfig, id: string, file: string): Promise<Storage> {
  const directory = path.dirname(file);
  let handle: FileHandle | null = null;
  try {
    handle = await open(file, O_RDWR | O_CREAT | O_EXCL, CREATED_MODE);
    // Without this the file, and every write flushed to it, may be missing after a crash of the machine.
    await syncDirectory(directory);
    return { volume, id, type: 'file', path: file, handle, isCreated: true };
  } catch (thrown) {
    if (handle !== null) {
      await rm(file, { force: true });
      await handle.close();
    }
    throw volumeError(volume, `${file} cannot be created`, `see that rssrv may write to ${directory} and that there is space`, thrown);
  }
}

async function openExisting(volume: ServerVolumeConfig, id: string, file: string): Promise<Storage> {
  try {
    const handle = await open(file, volume.readonly ? O_RDONLY : O_RDWR);
    return { volume, id, type: 'file', path: file, handle, isCreated: false };
  } catch (thrown) {
    const remedy = volume.readonly ? 'let rssrv read it' : 'let rssrv read and write it, or set readonly = yes';
    throw volumeError(volume, `${file} cannot be opened`, remedy, thrown);
  }
}

async function openDevice(volume: ServerVolumeConfig, id: string, device: string): Promise<Storage> {
  try {
    // Exclusive: refused while the device is mounted or part of something, and nobody mounts it while it is served.
    const handle = await open(device, volume.readonly ? O_RDONLY : O_RDWR | O_EXCL);
    return { volume, id, type: 'block', path: device, handle, isCreated: false };
  } catch (thrown) {
    const busy = errnoName(thrown) === 'EBUSY';
    const remedy = busy ? 'unmount it, or stop what uses it' : 'see that the device is there and that rssrv may use it';
    throw volumeError(volume, `device ${device} cannot be opened`, remedy, thrown);
  }
}

function deviceSize(volume: ServerVolumeConfig, stats: BigIntStats): number {
  try {
    return blockDeviceFacts(stats.rdev).sizeBytes;
  } catch (thrown) {
    throw volumeError(volume, `the size of device ${volume.path} cannot be read from /sys`, 'see that the device is there', thrown);
  }
}

/** Always a new file: what a listener that ended badly left behind belongs to a life of the volume that is over. */
async function openMemoryFile(volume: ServerVolumeConfig, id: string, directory: string): Promise<Storage> {
  const file = path.join(directory, `rsio-${id}`);
  try {
    await makeOwnDirectory(volume, directory);
    await removeLeftover(volume, file);
    const handle = await open(file, O_RDWR | O_CREAT | O_EXCL, CREATED_MODE);
    return { volume, id, type: 'memory', path: file, handle, isCreated: true };
  } catch (thrown) {
    if (thrown instanceof RsError) throw thrown;
    throw volumeError(volume, `${file} cannot be made`, `see that rssrv may write to ${path.dirname(directory)}`, thrown);
  }
}

/** Where everybody may make files, somebody could have made this one, or have a link in its place. */
async function makeOwnDirectory(volume: ServerVolumeConfig, directory: string): Promise<void> {
  try {
    await mkdir(directory, { mode: 0o700 });
  } catch (thrown) {
    if (errnoName(thrown) !== 'EEXIST') throw thrown;
  }
  const { mode, uid } = await lstat(directory);
  const what = (mode & S_IFMT) !== S_IFDIR ? 'is no folder' : uid !== process.geteuid?.() ? `belongs to user ${uid}` : null;
  if (what !== null)
    throw volumeError(volume, `${directory}, where memory volumes are kept, ${what}`, 'find out who made it, and remove it');
  if ((mode & 0o077) !== 0) {
    throw volumeError(
      volume,
      `${directory}, where memory volumes are kept, is open to other users`,
      `see what they put there, then chmod 700 ${directory}`,
    );
  }
}

async function removeLeftover(volume: ServerVolumeConfig, file: string): Promise<void> {
  if ((await statOrNull(volume, file)) === null) return;
  const handle = await open(file, O_RDWR);
  try {
    const [outcome] = await takeLocks([{ descriptor: handle.fd, shared: false }]);
    if (outcome === 'taken') throw volumeError(volume, `another rssrv has id ${id(file)} in memory`, 'give one of them another id =');
    await rm(file, { force: true });
  } finally {
    await handle.close();
  }
}

function id(file: string): string {
  return path.basename(file).slice('rsio-'.length);
}
