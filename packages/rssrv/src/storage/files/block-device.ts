// Reads the facts about a block device from /sys/dev/block (Linux). The modules opened-file.ts and volume-storage.ts open the devices.
// Invariant: reading the facts does not open the device.

import fs from 'node:fs';
import path from 'node:path';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';

export interface BlockDeviceFacts {
  readonly sizeBytes: number;
  /** True if the device can zero ranges; such a device can also punch holes. */
  readonly canPunch: boolean;
}

/** Converts a device number from stat to `MAJOR:MINOR` (12 bits and 20 bits on Linux). */
export function deviceName(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

/** Reads the facts about a device. Throws the system error if /sys does not list the device. */
export function blockDeviceFacts(rdev: bigint, devicesDirectory = '/sys/dev/block'): BlockDeviceFacts {
  const directory = path.join(devicesDirectory, deviceName(rdev));
  const sectors = Number(fs.readFileSync(path.join(directory, 'size'), 'latin1'));
  return { sizeBytes: sectors * SECTOR_BYTES, canPunch: canZeroRanges(directory) };
}

function canZeroRanges(directory: string): boolean {
  // The queue directory of a partition is in the directory of the partition's disk, one level up. Resolve the symbolic link first, so that
  // `..` is the disk's directory.
  for (const queue of ['queue', '../queue']) {
    try {
      return Number(fs.readFileSync(`${fs.realpathSync(directory)}/${queue}/write_zeroes_max_bytes`, 'latin1')) > 0;
    } catch {
      // If no queue directory contains the file, assume that the device cannot zero ranges.
    }
  }
  return false;
}
