// Reads the facts about a block device from /sys/dev/block (Linux). This module opens no device and knows nothing about volumes. The
// devices are opened by opened-file.ts and volume-storage.ts, which use these facts.

import fs from 'node:fs';
import path from 'node:path';
import { SECTOR_BYTES } from '@rsio/common/lib/limits';

export interface BlockDeviceFacts {
  readonly sizeBytes: number;
  /** True if the device can zero ranges, and therefore punch holes. */
  readonly canPunch: boolean;
}

/** Converts a device number from stat to `MAJOR:MINOR` (12 bits and 20 bits on Linux). */
export function deviceName(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

/** Reads the facts about a device. Throws the system error if the device is not in /sys. */
export function blockDeviceFacts(rdev: bigint, devicesDirectory = '/sys/dev/block'): BlockDeviceFacts {
  const directory = path.join(devicesDirectory, deviceName(rdev));
  const sectors = Number(fs.readFileSync(path.join(directory, 'size'), 'latin1'));
  return { sizeBytes: sectors * SECTOR_BYTES, canPunch: canZeroRanges(directory) };
}

function canZeroRanges(directory: string): boolean {
  // A partition has no queue directory of its own; it uses the queue of its disk, in the parent directory. Resolve the symbolic link first,
  // so that `..` is the disk's directory.
  for (const queue of ['queue', '../queue']) {
    try {
      return Number(fs.readFileSync(`${fs.realpathSync(directory)}/${queue}/write_zeroes_max_bytes`, 'latin1')) > 0;
    } catch {
      // This file is missing: try the other path. If neither file exists, the device is assumed to be unable to zero ranges.
    }
  }
  return false;
}
