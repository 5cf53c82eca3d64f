// Opens the storage of a volume and creates its file backend. Reads and writes of a regular file are executed on the event loop while the
// file's data is cached. Reads and writes of a block device use the thread pool at first, because the data of a device is seldom cached.
// Reads and writes of a file in memory are always executed on the event loop and need no sync. Errors name the volume and the path. If
// opening fails, no descriptor stays open.

import fs, { type BigIntStats } from 'node:fs';
import { promisify } from 'node:util';
import { errnoName, errnoRemedy, RsError } from '@rsio/base/lib/errors';
import type { Backend, PartBackend } from '../io/backend.ts';
import { CachedReads } from '../io/cached-reads.ts';
import { InlinePolicy } from '../io/inline-policy.ts';
import type { ServedVolume } from '../io/served-volume.ts';
import type { BackendPorts } from './backend-ports.ts';
import { blockDeviceFacts } from './block-device.ts';
import { FileBackend } from './file-backend.ts';
import { type OpenRange, RangeFile } from './range-file.ts';
import { storageName } from './storage-identity.ts';

export interface FileKind {
  readonly type: 'file' | 'block' | 'memory';
  readonly inline: InlinePolicy | null;
  /** True if the storage is in memory, so that neither FUA writes nor flushes need a sync. */
  readonly isVolatile: boolean;
  /**
   * Returns the size of the open file in bytes, and whether holes can be punched in the file. Throws an RsError if the file is not of the
   * expected kind.
   */
  readonly inspect: (stats: BigIntStats) => { readonly sizeBytes: number; readonly canPunch: boolean | 'probe' };
}

const close = promisify(fs.close);

export function fstat(descriptor: number): Promise<BigIntStats> {
  return new Promise((resolve, reject) => {
    fs.fstat(descriptor, { bigint: true }, (error, stats) => (error === null ? resolve(stats) : reject(error)));
  });
}

/**
 * Opens `volume.path`, which must be a file of the given kind. Throws E_VOLUME if the file cannot be opened, is not the file that the
 * listener opened, is of another kind, or is shorter than the volume. A file that is too short is refused at once, because otherwise each
 * read past its end would fail separately.
 */
export async function openFile(volume: ServedVolume, kind: FileKind, ports: BackendPorts): Promise<FileBackend> {
  const { path } = volume;
  if (path === null) throw new RsError('E_INTERNAL', `Volume ${volume.name} of type ${volume.type} has no path`);
  const opened: number[] = [];
  try {
    const { descriptor, synced } = await ports.files.open({
      path,
      readonly: volume.readonly,
      isVolatile: kind.isVolatile,
    });
    opened.push(descriptor, ...(synced === null ? [] : [synced]));
    const stats = await fstat(descriptor);
    assertStorage(volume, path, stats);
    if (synced !== null) assertStorage({ name: volume.name, storage: storageName(stats) }, path, await fstat(synced));
    const { sizeBytes, canPunch } = kind.inspect(stats);
    if (sizeBytes < volume.sizeBytes) {
      throw new RsError(
        'E_VOLUME',
        `Volume ${volume.name} has ${volume.sizeBytes} bytes, but ${path} only ${sizeBytes}: it was truncated while rssrv served it; restore it`,
        { volume: volume.name, path, isCut: true },
      );
    }
    const file = { descriptor, isRegular: stats.isFile(), sizeBytes, isWritable: !volume.readonly, canPunch };
    const range = await openRange(file, volume.id, ports);
    return new FileBackend(
      {
        type: kind.type,
        descriptor,
        syncedDescriptor: synced,
        sizeBytes: volume.sizeBytes,
        readonly: volume.readonly,
        inline: kind.inline,
        cached: kind.inline === null ? null : cachedReads(volume.id, ports),
        onGuess: () => ports.onGuess?.(path),
        range,
        fileSize: ports.fileSize,
        dropPages: kind.isVolatile ? null : ports.dropPages,
      },
      ports.onError,
    );
  } catch (thrown) {
    for (const descriptor of opened) await close(descriptor);
    throw asVolumeError(volume.name, path, thrown);
  }
}

/** Opens the file in the share of the volume, because the calls hang with the storage. */
async function openRange(file: OpenRange, volumeId: string, { threads, calls, clock }: BackendPorts): Promise<RangeFile> {
  const lane = threads.enter(volumeId);
  try {
    return await new Promise((resolve) =>
      lane.run(
        (ended) =>
          void RangeFile.open(calls, clock, file).then((range) => {
            ended();
            resolve(range);
          }),
      ),
    );
  } finally {
    threads.leave(volumeId);
  }
}

/**
 * Returns the object for reads without waiting, or null if such reads are not possible. Even on block devices, reads without waiting start
 * on the event loop, because an attempt costs little if the data is not cached.
 */
function cachedReads(volumeId: string, { nowait, clock, sleeps, threads }: BackendPorts): CachedReads | null {
  if (nowait === null) return null;
  return new CachedReads(nowait, new InlinePolicy(clock, 'sync', sleeps), () => threads.callsOf(volumeId));
}

/**
 * Throws E_VOLUME if an open file is not the file that the listener has open. Another file at the path would have other content, and would
 * not be locked. The check is repeated for each descriptor, because the file may be replaced between two opens.
 */
export function assertStorage({ name, storage }: Pick<ServedVolume, 'name' | 'storage'>, path: string, stats: BigIntStats): void {
  if (storage === undefined || storageName(stats) === storage) return;
  throw new RsError(
    'E_VOLUME',
    `Volume ${name}: ${path} was replaced by another file while rssrv served it: restore the original, or restart rssrv`,
    { volume: name, path },
  );
}

/** Converts a system error to an error that names the volume and the path. Returns any other error unchanged. */
export function asVolumeError(name: string, path: string, thrown: unknown): unknown {
  const errno = errnoName(thrown);
  if (thrown instanceof RsError || errno === undefined) return thrown;
  return new RsError(
    'E_VOLUME',
    `${path} of volume ${name} cannot be opened (${errno}): ${errnoRemedy(errno) ?? 'check that it exists and that rssrv may use it'}`,
    { volume: name, path, errno },
    thrown,
  );
}

/** Throws E_VOLUME, naming the volume and its path, if the file cannot be opened. */
export function openMemory(volume: ServedVolume, ports: BackendPorts): Promise<Backend> {
  const inspect = (stats: { readonly size: bigint }) => ({ sizeBytes: Number(stats.size), canPunch: 'probe' as const });
  return openFile(volume, { type: 'memory', inline: null, isVolatile: true, inspect }, ports);
}

/** Throws E_VOLUME, naming the volume and its path, if the device cannot be opened. */
export function openBlockDevice(volume: ServedVolume, ports: BackendPorts): Promise<Backend> {
  return openFile(
    volume,
    {
      type: 'block',
      inline: new InlinePolicy(ports.clock, 'pool', ports.sleeps),
      isVolatile: false,
      inspect: (stats) => {
        if (!stats.isBlockDevice()) {
          throw new RsError('E_VOLUME', `${volume.path} of volume ${volume.name} is not a block device: correct its type =`);
        }
        return blockDeviceFacts(stats.rdev);
      },
    },
    ports,
  );
}

/** Throws E_VOLUME, naming the volume and its path, if the file cannot be opened. */
export function openRegularFile(volume: ServedVolume, ports: BackendPorts): Promise<PartBackend> {
  return openFile(
    volume,
    {
      type: 'file',
      inline: new InlinePolicy(ports.clock, 'sync', ports.sleeps),
      isVolatile: false,
      inspect: (stats) => {
        if (!stats.isFile())
          throw new RsError('E_VOLUME', `${volume.path} of volume ${volume.name} is not a regular file: correct its type =`);
        return { sizeBytes: Number(stats.size), canPunch: 'probe' };
      },
    },
    ports,
  );
}
