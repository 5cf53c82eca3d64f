// The open storage of a volume, for the listener: nothing (type null), one file or device, or several files in pools. volume-storage.ts
// opens the storage, and treats each file of a volume of several files like a volume of one file. Invariant: either all files of a volume
// are open, or none.

import type { FileHandle } from 'node:fs/promises';
import type { ServerVolumeConfig, VolumeLayout } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/base/lib/errors';
import type { ServedLayout, ServedVolume } from '../storage/io/served-volume.ts';

export interface Storage {
  readonly volume: ServerVolumeConfig;
  readonly id: string;
  readonly type: ServedVolume['type'];
  readonly path: string | null;
  /** The open file or device, which stays open while the volume is served. The handle is null if the volume has `type = null`. */
  readonly handle: FileHandle | null;
  readonly isCreated: boolean;
  /** The name (see `storageName`) of the open file or device, which never changes; null if the handle is null. */
  readonly identity: string | null;
  /** The device number of the open file, as stat returns it. */
  readonly device?: bigint | undefined;
  /** True if calls about the attributes of the open file never wait for storage (LocalFiles). Absent in case of doubt. */
  readonly isLocal?: boolean;
  /** All files of a volume of several files. `path` and `handle` then belong to the first file. `parts` is undefined for other volumes. */
  readonly parts?: readonly StoragePart[];
}

/** One open file of a volume of several files. */
export interface StoragePart {
  readonly path: string;
  readonly handle: FileHandle;
  readonly identity: string | null;
  readonly device?: bigint | undefined;
  readonly isLocal?: boolean;
}

/**
 * Opens all files of a volume of several files, each with `open`. If a file cannot be opened, closes the files that are already open,
 * and throws E_VOLUME, which names the file and its pool.
 */
export async function openParts(
  volume: ServerVolumeConfig,
  { parts }: VolumeLayout,
  open: (volume: ServerVolumeConfig) => Promise<Storage>,
): Promise<Storage> {
  const opened: Storage[] = [];
  try {
    for (let index = 0; index < parts.length; index++) opened.push(await open(partVolume(volume, index)));
  } catch (thrown) {
    for (const { handle } of opened) await handle?.close();
    throw thrown;
  }
  const [first] = opened;
  if (first === undefined) throw new RsError('E_INTERNAL', `Volume ${volume.name} has no files`);
  const files = opened.flatMap(({ path, handle, identity, device, isLocal = false }) =>
    path === null || handle === null ? [] : [{ path, handle, identity, device, isLocal }],
  );
  return { ...first, volume, parts: files };
}

/** Returns the configuration for one file of a volume, as if that file were a volume of its own. Throws E_VOLUME if it cannot be used. */
function partVolume(volume: ServerVolumeConfig, index: number): ServerVolumeConfig {
  const { layout, ...others } = volume;
  const part = layout?.parts[index];
  if (part === undefined || part.path === null || part.pool === null)
    throw new RsError('E_VOLUME', `Volume ${volume.name}: ${part?.trouble ?? 'one of its files is not known'}`, {
      volume: volume.name,
      pool: volume.pool?.name,
    });
  const { path, sizeBytes, pool, poolId, stamp } = part;
  const isThick = volume.pool?.isThick === true;
  return { ...others, path, sizeBytes, pool: { name: pool, stamp, ids: [poolId], isThick } };
}

/** Returns the storage of each file of a volume. Each result has the form of the storage of a volume of one file. */
export function singleFiles(storage: Storage): Storage[] {
  const { parts, ...others } = storage;
  if (parts === undefined) return [storage];
  return parts.map((part, index) => ({ ...others, ...part, volume: partVolume(storage.volume, index) }));
}

export function handlesOf({ handle, parts }: Storage): readonly FileHandle[] {
  if (parts !== undefined) return parts.map((part) => part.handle);
  return handle === null ? [] : [handle];
}

export function pathsOf({ path, parts }: Storage): readonly string[] {
  if (parts !== undefined) return parts.map((part) => part.path);
  return path === null ? [] : [path];
}

/** Returns the names (see `storageName`) of all files of a volume. */
export function identitiesOf({ identity, parts }: Storage): string[] {
  return (parts ?? [{ identity }]).flatMap((one) => one.identity ?? []);
}

/** Returns what a worker needs to open the files; undefined for a volume of one file. */
export function servedLayout(storage: Storage): ServedLayout | undefined {
  const { layout } = storage.volume;
  if (layout === undefined || storage.parts === undefined) return undefined;
  const names = identitiesOf(storage);
  const parts = storage.parts.map(({ path }, index) => {
    const { poolId = '', sizeBytes = 0 } = layout.parts[index] ?? {};
    return { poolId, path, storage: names[index] ?? '', sizeBytes };
  });
  return { chunkBytes: layout.chunkBytes, parts };
}

/** Returns the names (see `storageName`) of all files of a served volume. */
export function namesOf({ storage, layout }: ServedVolume): string[] {
  if (layout !== undefined) return layout.parts.flatMap((part) => part.storage ?? []);
  return storage === undefined ? [] : [storage];
}

/** Returns the file at this index in the form of a served volume of one file. */
export function servedFile(served: ServedVolume, index: number): ServedVolume {
  const part = served.layout?.parts[index];
  return part === undefined ? served : { ...served, path: part.path, sizeBytes: part.sizeBytes };
}
