// What Linux says about a block device under /sys/dev/block. Read only; knows no volumes.
// Leaves opening the device, and what follows from these facts, to block-backend.ts and volume-storage.ts.

import fs from 'node:fs';
import path from 'node:path';
import { SECTOR_BYTES } from '@rsio/common/lib/limits';

export interface BlockDeviceFacts {
  readonly sizeBytes: number;
  /** The device zeroes ranges by itself, which is what a hole is on it. */
  readonly canPunch: boolean;
}

/** `MAJOR:MINOR` of a device number as stat gives it (Linux: 12 bits of major, 20 of minor). */
export function deviceName(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

/** Throws the system error of a device that /sys does not know. */
export function blockDeviceFacts(rdev: bigint, devicesDirectory = '/sys/dev/block'): BlockDeviceFacts {
  const directory = path.join(devicesDirectory, deviceName(rdev));
  const sectors = Number(fs.readFileSync(path.join(directory, 'size'), 'latin1'));
  return { sizeBytes: sectors * SECTOR_BYTES, canPunch: canZeroRanges(directory) };
}

function canZeroRanges(directory: string): boolean {
  // A partition's queue is its disk's; the link has to be followed before `..` means that.
  for (const queue of ['queue', '../queue']) {
    try {
      return Number(fs.readFileSync(`${fs.realpathSync(directory)}/${queue}/write_zeroes_max_bytes`, 'latin1')) > 0;
    } catch {
      // Not there: the next place, else it is taken for unable.
    }
  }
  return false;
}
