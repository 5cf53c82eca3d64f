// Warns about storage that the administrator may not have intended: storage that the next boot empties, and a file whose last bytes are not
// served. The warnings are the same at a start, at a reload and with --check.

import type { BigIntStats } from 'node:fs';
import path from 'node:path';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { FileSystem, FileSystemOf } from '../machine/file-system.ts';

/** Finds the kind of file system of volumes. Asks once for each pool, because the volumes of a pool are on one file system. */
export class FileSystems {
  private readonly find: FileSystemOf;
  /** The kinds of file system that are already known, keyed by the name of the pool. */
  private readonly known = new Map<string, Promise<FileSystem>>();

  constructor(find: FileSystemOf) {
    this.find = find;
  }

  of({ pool }: ServerVolumeConfig, directory: string): Promise<FileSystem> {
    if (pool === undefined) return this.find(directory);
    const found = this.known.get(pool.name) ?? this.find(directory);
    this.known.set(pool.name, found);
    return found;
  }
}

/**
 * Returns the warnings about a volume whose file or device is `location`. `stats`: the attributes of the file or device, or null if it does
 * not exist yet.
 */
export async function storageWarnings(
  volume: ServerVolumeConfig,
  location: string,
  stats: BigIntStats | null,
  fileSystems: FileSystems,
): Promise<string[]> {
  const warnings: string[] = [];
  if (stats === null || stats.isFile()) {
    const system = await fileSystems.of(volume, path.dirname(location));
    if (system !== 'other') {
      warnings.push(
        `Volume ${volume.name}: ${location} is in memory (${system === 'devices' ? 'below /dev' : system}) and is lost at the next boot: ` +
          'correct path =, or set type = memory if that is intended',
      );
    }
  }
  const partBytes = stats?.isFile() === true && volume.sizeBytes === null ? Number(stats.size % BigInt(volume.blockSizeBytes)) : 0;
  if (partBytes > 0) {
    warnings.push(
      `Volume ${volume.name}: ${location} has ${stats?.size} bytes, not a multiple of the block size ${volume.blockSizeBytes}, and its last ` +
        `${partBytes} bytes are not served: extend it with truncate(1)`,
    );
  }
  return warnings;
}
