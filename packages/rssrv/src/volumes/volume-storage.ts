// Opens the storage of one configured volume for the listener: detects the type, creates or extends the file, and reports errors. The
// listener keeps the descriptor open, so that the lock is held and no write-back error of the kernel is lost while no worker has the
// storage open.

import { type BigIntStats, constants, fstatSync } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, realpath, rm, stat, truncate } from 'node:fs/promises';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { syncDirectory } from '@rsio/base/files/durable-write';
import { errnoName, errnoRemedy, RsError, toRsError } from '@rsio/base/lib/errors';
import { VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import { blockDeviceFacts } from '../storage/files/block-device.ts';
import { storageName, storageStamp } from '../storage/files/storage-identity.ts';
import type { FileSystemOf, LocalFiles } from '../machine/file-system.ts';
import { takeLocks } from '../storage/locks/file-locks.ts';
import type { HeldVolumes } from './held-volumes.ts';
import { handlesOf, openParts, pathsOf, singleFiles, type Storage } from './open-storage.ts';
import { factsOf, type VolumeFacts } from './volume-ids.ts';
import path from 'node:path';

export interface StoragePorts {
  /** Directory for the files of memory volumes. The directory is on a memory file system, and only this user has access to it. */
  readonly memoryDirectory: string;
  /** Returns the kind of file system that contains an existing directory. */
  readonly fileSystemOf: FileSystemOf;
  /** Knows for which open files a call in this thread does not wait. If undefined, all calls are made in other threads. */
  readonly localFiles?: LocalFiles | undefined;
}

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, S_IFMT, S_IFDIR } = constants;
const CREATED_MODE = 0o600;

/** Returns an E_VOLUME error. `what` describes the problem with the volume, and `remedy` tells the administrator how to solve it. */
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
 * Refuses two volumes with the same id. Refuses two volumes on the same storage if one of them is writable, because clients assume
 * independent contents.
 */
export class StorageClaims {
  private readonly byId = new Map<string, ServerVolumeConfig>();
  private readonly byStorage = new Map<string, ServerVolumeConfig>();
  private readonly held: HeldVolumes | null;
  private readonly mentioned: ReadonlySet<string>;

  /**
   * `held`: the open volumes before the change. Volumes that the plan does not mention keep their ids and files. Null if the plan covers the
   * whole configuration, so that every volume is added again.
   */
  constructor(held: HeldVolumes | null, mentioned: ReadonlySet<string>) {
    this.held = held;
    this.mentioned = mentioned;
  }

  /** Throws E_VOLUME, naming the other volume, if another volume already has the id. */
  check(volume: ServerVolumeConfig, id: string): void {
    const other = this.byId.get(id) ?? this.untouched(this.held?.keysWithId(id))[0];
    if (other !== undefined) throw volumeError(volume, `it has id ${id}, which volume ${other.name} has`, 'give it another id =');
  }

  /**
   * `identities`: the identities of all files of the volume. Throws E_VOLUME, naming the other volume, if another volume uses one of the
   * files.
   */
  checkStorage(volume: ServerVolumeConfig, identities: readonly string[]): void {
    const users = (identity: string): readonly ServerVolumeConfig[] => {
      const claimed = this.byStorage.get(identity);
      return [...(claimed === undefined ? [] : [claimed]), ...this.untouched(this.held?.keysWithFile(identity))];
    };
    const other = identities.flatMap(users).find((one) => !(one.readonly && volume.readonly));
    if (other === undefined) return;
    throw volumeError(volume, `${volume.path ?? ''} is already volume ${other.name}`, 'give it another path =, or make both readonly');
  }

  add(volume: ServerVolumeConfig, id: string, identities: readonly string[]): void {
    this.byId.set(id, volume);
    for (const identity of identities) this.byStorage.set(identity, volume);
  }

  private untouched(keys: readonly string[] = []): ServerVolumeConfig[] {
    return keys.flatMap((key) => (this.mentioned.has(key) ? [] : (this.held?.get(key)?.storage.volume ?? [])));
  }
}

/** Returns the error for a volume that must not be served because a move or a refresh of the volume is unfinished; else null. */
export function troubleOf({ name, pool }: ServerVolumeConfig): RsError | null {
  return pool?.trouble === undefined ? null : new RsError('E_VOLUME', `Volume ${name}: ${pool.trouble}`, { volume: name, pool: pool.name });
}

/**
 * Opens the storage of a volume. If the file is missing, creates it. `wasThere`: true if the volume has already been served from this
 * file. If `wasThere` is true, a missing file is an error, because an empty file must not replace lost content. Throws E_VOLUME.
 */
export async function openStorage(volume: ServerVolumeConfig, id: string, ports: StoragePorts, wasThere: boolean): Promise<Storage> {
  const trouble = troubleOf(volume);
  if (trouble !== null) throw trouble;
  if (volume.layout !== undefined) return openParts(volume, volume.layout, (one) => openStorage(one, id, ports, true));
  const { memoryDirectory, fileSystemOf } = ports;
  if (volume.sizeBytes !== null) checkSize(volume, volume.sizeBytes, 'size');
  if (volume.type === 'memory' || volume.type === 'null') {
    if (volume.sizeBytes === null) throw volumeError(volume, `type ${volume.type} needs a size`, 'set size =');
    if (volume.type === 'null') return { volume, id, type: 'null', path: null, handle: null, isCreated: false, identity: null };
    return openMemoryFile(volume, id, memoryDirectory);
  }
  const { path: location, kind } = await inspectLocation(volume, fileSystemOf);
  if (kind === 'missing' && wasThere) {
    const remedy = 'restore it (is its file system mounted?), or create an empty file there to start over';
    throw volumeError(volume, `${location}, which has its content, is missing`, remedy);
  }
  const how = { missing: createFile, block: openDevice, file: openExisting } as const;
  const storage = await how[kind](volume, id, location);
  // An open file keeps its file system, so that this stays true while the file is open.
  return { ...storage, isLocal: (await ports.localFiles?.has(storage.handle.fd, storage.device)) ?? false };
}

interface StorageLocation {
  readonly path: string;
  /** `missing`: no file exists at the location, but a file can be created. */
  readonly kind: 'missing' | 'file' | 'block';
  readonly stats: BigIntStats | null;
}

/** Inspects the location of a file or device without opening it. Throws E_VOLUME if no volume can be served from this location. */
export async function inspectLocation(volume: ServerVolumeConfig, fileSystemOf: FileSystemOf): Promise<StorageLocation> {
  const { path: location, type } = volume;
  if (location === null) throw volumeError(volume, 'it has no path', 'set path =');
  if (!path.isAbsolute(location)) throw volumeError(volume, `path ${location} is not absolute`, 'begin it with /');
  const stats = await statOrNull(volume, location);
  if (stats?.isBlockDevice() === true && type !== 'file') return { path: location, kind: 'block', stats };
  if (stats?.isFile() === true && type !== 'block') {
    const pool = volume.pool === undefined ? await poolOf(location) : null;
    if (pool === null) return { path: location, kind: 'file', stats };
    // A server locks only the file pool.json of a pool, and not the data files. Two servers could therefore serve this data file, even if
    // one of them had locked it.
    throw volumeError(
      volume,
      `${location} belongs to a volume of the pool in ${pool}`,
      'serve it with that pool, or use a copy of the file',
    );
  }
  if (stats !== null || type === 'block') {
    const wanted = type === 'auto' ? 'regular file or block device' : type === 'file' ? 'regular file' : 'block device';
    throw volumeError(volume, `${location} is not a ${wanted}`, 'correct path = or type =');
  }
  if (volume.sizeBytes === null) throw volumeError(volume, `${location} does not exist and has no size`, 'create it, or set size =');
  const directory = path.dirname(location);
  if ((await statOrNull(volume, directory)) === null) {
    throw volumeError(volume, `directory ${directory} does not exist`, 'create it, or correct path =');
  }
  // Refuse to create a file in a file system such as /dev: a file in place of a missing device would be lost at the next boot.
  const system = await fileSystemOf(directory);
  if (system === 'devices' || system === 'ramfs') {
    const where = system === 'devices' ? 'below /dev' : `on a ${system}`;
    const remedy = 'connect the device if it is one, correct path =, or set type = memory';
    throw volumeError(volume, `${location} does not exist, and a file ${where} would be lost at the next boot`, remedy);
  }
  return { path: location, kind: 'missing', stats };
}

/** Returns the directory of the pool that contains the file as the data file of a volume; null if there is no such pool. */
async function poolOf(file: string): Promise<string | null> {
  const real = await realpath(file).catch(() => file);
  if (path.basename(real) !== 'data') return null;
  const pool = path.dirname(path.dirname(path.dirname(real)));
  const identity = await stat(path.join(pool, 'pool.json')).catch(() => null);
  return identity === null ? null : pool;
}

/** Returns the identity of storage that is not open yet, or null if the storage does not exist. */
export async function namedIdentity(volume: ServerVolumeConfig): Promise<string | null> {
  if (volume.path === null || volume.type === 'memory' || volume.type === 'null') return null;
  const stats = await stat(volume.path, { bigint: true }).catch(() => null);
  return stats === null ? null : storageName(stats);
}

/**
 * Returns the size in bytes with which the volume is served, a multiple of the block size. If a size is configured, a smaller file is
 * extended to that size, and only the beginning of a larger file is served. If no size is configured, the result is the size of the file or
 * device, rounded down to whole blocks. `isInUse`: true if clients may be writing to the volume. `measured`: the results of `measure` for
 * all files of the volume, or null to measure them. Throws E_VOLUME on failure, or if the path no longer leads to the open file.
 */
export async function settleSize(
  storage: Storage,
  isInUse: boolean,
  measured: readonly Measured[] | null = null,
): Promise<{ readonly sizeBytes: number; readonly grownFromBytes: number | null }> {
  const { volume, handle } = storage;
  if (handle === null || storage.path === null) return { sizeBytes: volume.sizeBytes ?? 0, grownFromBytes: null };
  if (storage.parts !== undefined) return { sizeBytes: await wholeSize(storage, measured), grownFromBytes: null };
  const { presentBytes, sizeBytes } = measured?.[0] ?? (await measure(storage));
  if (presentBytes >= sizeBytes) return { sizeBytes, grownFromBytes: null };
  try {
    // Extend the file by name, because a file that is open read-only cannot be extended through its descriptor.
    await truncate(storage.path, sizeBytes);
    // Do not sync a file that is in use, because the kernel may have much data to write back. If a crash undoes the extension, the next
    // start extends the file again.
    if (!isInUse) await handle.sync();
  } catch (thrown) {
    throw volumeError(volume, `${storage.path} cannot be grown from ${presentBytes} to ${sizeBytes} bytes`, 'lower size =', thrown);
  }
  return { sizeBytes, grownFromBytes: presentBytes };
}

/**
 * Returns the size of a volume of several files. A file may be longer than the manifest says. Throws E_VOLUME if a file is shorter
 * than the manifest says.
 */
async function wholeSize(storage: Storage, measured: readonly Measured[] | null): Promise<number> {
  for (const [index, file] of singleFiles(storage).entries()) {
    const { presentBytes, sizeBytes } = measured?.[index] ?? (await measure(file));
    if (presentBytes >= sizeBytes) continue;
    const what = `${file.path ?? ''} has ${presentBytes} bytes, but the volume has ${sizeBytes} there`;
    throw volumeError(storage.volume, what, `restore its content; if zeros are correct, make it ${sizeBytes} bytes long with truncate(1)`);
  }
  const { sizeBytes } = storage.volume;
  checkSize(storage.volume, sizeBytes ?? 0, 'its manifest');
  return sizeBytes ?? 0;
}

/** The size of an open file or device, and the size of its volume. */
export interface Measured {
  readonly presentBytes: number;
  readonly sizeBytes: number;
}

/** Returns the attributes of the open file or device; null if there is none. */
export async function statsOf({ handle, isLocal }: Storage): Promise<BigIntStats | null> {
  if (handle === null) return null;
  return isLocal === true ? fstatSync(handle.fd, { bigint: true }) : handle.stat({ bigint: true });
}

const SECTOR_OF_STAT_BYTES = 512;

/**
 * Returns the bytes that the open files of `volume` occupy. Null if other files are open than `volume` names, if a file has been replaced
 * since, or if a call about a file may wait. Makes all calls in this thread.
 */
export function occupiedBytes(storage: Storage, { path: location, layout }: ServerVolumeConfig): number | null {
  const paths = pathsOf(storage);
  const wanted = layout?.parts.map((part) => part.path) ?? [location];
  if (paths.length !== wanted.length || wanted.some((one, index) => one !== paths[index])) return null;
  let bytes = 0;
  try {
    for (const { handle, isLocal } of storage.parts ?? [storage]) {
      if (handle === null || isLocal !== true) return null;
      const { blocks, nlink } = fstatSync(handle.fd);
      if (nlink === 0) return null;
      bytes += blocks * SECTOR_OF_STAT_BYTES;
    }
    return bytes;
  } catch {
    return null;
  }
}

/** Measures open storage. `known`: the attributes that its file has just had. Throws E_VOLUME like `settleSize`. */
export async function measure(storage: Storage, known: BigIntStats | null = null): Promise<Measured> {
  const { volume, handle } = storage;
  if (handle === null || storage.path === null) return { presentBytes: volume.sizeBytes ?? 0, sizeBytes: volume.sizeBytes ?? 0 };
  const stats = known ?? (await handle.stat({ bigint: true }));
  const named = await statOrNull(volume, storage.path);
  if (named === null || named.ino !== stats.ino || named.dev !== stats.dev) {
    throw volumeError(volume, `${storage.path} is no longer the file that was opened`, 'restore that file, or restart rssrv');
  }
  return fittingSize(volume, storage.path, stats);
}

/** Returns the size of existing storage, and the size of the volume. Throws E_VOLUME if the volume does not fit. */
export function fittingSize(volume: ServerVolumeConfig, location: string, stats: BigIntStats): Measured {
  const presentBytes = stats.isBlockDevice() ? deviceSize(volume, stats) : Number(stats.size);
  const sizeBytes = volume.sizeBytes ?? presentBytes - (presentBytes % volume.blockSizeBytes);
  checkSize(volume, sizeBytes, location);
  if (stats.isBlockDevice() && presentBytes < sizeBytes) {
    throw volumeError(volume, `device ${location} has ${presentBytes} bytes, but size is ${sizeBytes}`, 'lower size = or remove it');
  }
  return { presentBytes, sizeBytes };
}

/** Closes the storage, and removes the file of a memory volume. */
export async function releaseStorage(storage: Storage): Promise<void> {
  if (storage.type === 'memory' && storage.path !== null) await rm(storage.path, { force: true });
  for (const handle of handlesOf(storage)) await handle.close();
}

/** Closes storage that was never served. If a file was created for this storage, removes the file. */
export async function discardStorage(storage: Storage): Promise<void> {
  if (storage.isCreated && storage.path !== null) await rm(storage.path, { force: true });
  for (const handle of handlesOf(storage)) await handle.close();
}

function checkSize(volume: ServerVolumeConfig, sizeBytes: number, what: string): void {
  const { blockSizeBytes } = volume;
  if (sizeBytes < blockSizeBytes) {
    throw volumeError(volume, `${what} is less than one block of ${blockSizeBytes} bytes`, 'set a larger size =');
  }
  if (sizeBytes % blockSizeBytes !== 0) {
    throw volumeError(volume, `${what} is ${sizeBytes} bytes, not a multiple of the block size ${blockSizeBytes}`, 'round size =');
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
    throw volumeError(volume, `${file} cannot be inspected`, 'let rssrv read its directories', thrown);
  }
}

async function createFile(volume: ServerVolumeConfig, id: string, file: string): Promise<OpenedStorage> {
  const directory = path.dirname(file);
  let handle: FileHandle | null = null;
  try {
    handle = await open(file, O_RDWR | O_CREAT | O_EXCL, CREATED_MODE);
    // Without this sync, a crash could remove the new file and all writes that were already flushed.
    await syncDirectory(directory);
    return await opened({ volume, id, type: 'file', path: file, handle, isCreated: true });
  } catch (thrown) {
    if (handle !== null) {
      await rm(file, { force: true });
      await handle.close();
    }
    throw volumeError(volume, `${file} cannot be created`, `let rssrv write to ${directory}, and check that there is space`, thrown);
  }
}

async function openExisting(volume: ServerVolumeConfig, id: string, file: string): Promise<OpenedStorage> {
  try {
    const handle = await open(file, volume.readonly ? O_RDONLY : O_RDWR);
    return await opened({ volume, id, type: 'file', path: file, handle, isCreated: false });
  } catch (thrown) {
    const remedy = volume.readonly ? 'let rssrv read it' : 'let rssrv read and write it, or set readonly = yes';
    throw volumeError(volume, `${file} cannot be opened`, remedy, thrown);
  }
}

async function openDevice(volume: ServerVolumeConfig, id: string, device: string): Promise<OpenedStorage> {
  try {
    // For a writable volume, O_EXCL makes the open fail if the device is mounted or otherwise in use, and prevents a later mount.
    const handle = await open(device, volume.readonly ? O_RDONLY : O_RDWR | O_EXCL);
    return await opened({ volume, id, type: 'block', path: device, handle, isCreated: false });
  } catch (thrown) {
    const busy = errnoName(thrown) === 'EBUSY';
    const remedy = busy ? 'unmount it, or stop what uses it' : 'check that the device exists and that rssrv may use it';
    throw volumeError(volume, `device ${device} cannot be opened`, remedy, thrown);
  }
}

type OpenedStorage = Storage & { readonly handle: FileHandle };

/** Returns the open storage with its identity and device. If the file does not answer, closes it and throws a system error. */
async function opened(storage: Omit<OpenedStorage, 'identity'>): Promise<OpenedStorage> {
  try {
    const stats = await storage.handle.stat({ bigint: true });
    return { ...storage, identity: storageName(stats), device: stats.dev };
  } catch (thrown) {
    await storage.handle.close();
    throw thrown;
  }
}

function deviceSize(volume: ServerVolumeConfig, stats: BigIntStats): number {
  try {
    return blockDeviceFacts(stats.rdev).sizeBytes;
  } catch (thrown) {
    throw volumeError(volume, `the size of device ${volume.path} cannot be read from /sys`, 'check that the device exists', thrown);
  }
}

/** Always creates a new file, because a file left by a crashed listener belongs to an earlier incarnation. */
async function openMemoryFile(volume: ServerVolumeConfig, id: string, directory: string): Promise<Storage> {
  const file = path.join(directory, `rsio-${id}`);
  try {
    await makeOwnDirectory(volume, directory);
    await removeLeftover(volume, file);
    const handle = await open(file, O_RDWR | O_CREAT | O_EXCL, CREATED_MODE);
    return await opened({ volume, id, type: 'memory', path: file, handle, isCreated: true });
  } catch (thrown) {
    if (thrown instanceof RsError) throw thrown;
    throw volumeError(volume, `${file} cannot be created`, `let rssrv write to ${path.dirname(directory)}`, thrown);
  }
}

/**
 * Creates the directory if it is missing, and checks the owner and the mode. If all users may write to the parent directory, another user
 * could already have created a directory or a link with this name.
 */
async function makeOwnDirectory(volume: ServerVolumeConfig, directory: string): Promise<void> {
  try {
    await mkdir(directory, { mode: 0o700 });
  } catch (thrown) {
    if (errnoName(thrown) !== 'EEXIST') throw thrown;
  }
  const { mode, uid } = await lstat(directory);
  const what = (mode & S_IFMT) !== S_IFDIR ? 'is not a directory' : uid !== process.geteuid?.() ? `belongs to user ${uid}` : null;
  if (what !== null)
    throw volumeError(volume, `${directory}, where memory volumes are kept, ${what}`, 'find out which program created it, and remove it');
  if ((mode & 0o077) !== 0) {
    throw volumeError(
      volume,
      `${directory}, where memory volumes are kept, is open to other users`,
      `check its content, then chmod 700 ${directory}`,
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

/** Returns true if the process has no descriptor left. */
export function isOutOfFiles(thrown: unknown): boolean {
  const { errno } = toRsError(thrown).context;
  return errno === 'EMFILE' || errno === 'ENFILE';
}

/**
 * Returns the facts about open storage with these attributes. A later start compares the facts, to detect that the storage was replaced.
 */
export function storageFacts({ volume, type, path }: Storage, stats: BigIntStats | null): VolumeFacts {
  if (type === 'memory' || type === 'null' || path === null || stats === null) return factsOf(volume, type);
  return factsOf(volume, storageStamp(stats, path));
}

/**
 * Returns the sizes of files and devices in bytes, and the facts about all storage except type null. The maps of sizes and of facts
 * are keyed by volume id.
 */
export async function storedFacts(
  held: readonly { readonly storage: Storage; readonly served: ServedVolume }[],
): Promise<{ readonly sizes: ReadonlyMap<string, number>; readonly facts: ReadonlyMap<string, VolumeFacts> }> {
  const stored = held.filter(({ served: { type } }) => type === 'file' || type === 'block');
  const facts = new Map<string, VolumeFacts>();
  for (const { storage } of held) if (storage.type !== 'null') facts.set(storage.id, storageFacts(storage, await statsOf(storage)));
  return { sizes: new Map(stored.map(({ served: { id, sizeBytes } }) => [id, sizeBytes])), facts };
}
