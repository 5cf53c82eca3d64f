// What is served although a person may not have meant it so: storage that the next boot empties, and a file whose end is left out. Said at a
// start, at a reload and by --check, in the same words. Leaves what cannot be served at all to volume-storage.ts.

import type { BigIntStats } from 'node:fs';
import path from 'node:path';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { FileSystemOf } from '../sys/file-system.ts';

/** Sentences about a volume in the file `place`; `stats`: of that file or device, null when it is yet to be made. */
export async function storageWarnings(
  volume: ServerVolumeConfig,
  location: string,
  stats: BigIntStats | null,
  fileSystemOf: FileSystemOf,
): Promise<string[]> {
  const warnings: string[] = [];
  if (stats === null || stats.isFile()) {
    const system = await fileSystemOf(path.dirname(location));
    if (system !== 'other') {
      warnings.push(
        `Volume ${volume.name}: ${location} is in memory (${system === 'devices' ? 'below /dev' : system}), and the next boot empties it: ` +
          'correct path =, or say so with type = memory',
      );
    }
  }
  const partBytes = stats?.isFile() === true && volume.sizeBytes === null ? Number(stats.size % BigInt(volume.blockSizeBytes)) : 0;
  if (partBytes > 0) {
    warnings.push(
      `Volume ${volume.name}: ${location} has ${stats?.size} bytes, which are no whole blocks of ${volume.blockSizeBytes}, and its last ` +
        `${partBytes} bytes are not served: make it longer with truncate(1)`,
    );
  }
  return warnings;
}
