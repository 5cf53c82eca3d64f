// The location of the data files. Cached rows use memory, so that the rows compare servers and not the write-back of a file system.
// Uncached rows use the disk of the temporary directory. Invariant: newFolder always returns a new folder.

import { mkdtempSync, statfsSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { errnoName } from '@rsio/base/lib/errors';
import { FILE_BYTES } from './workload.ts';

const MEMORY = '/dev/shm';
/** Free space that must remain in a file system in memory. */
const ROOM_BYTES = 2 * FILE_BYTES;
const TMPFS_MAGIC = 0x01021994;

function hasRoomInMemory(): boolean {
  try {
    const { type, bavail, bsize } = statfsSync(MEMORY);
    return type === TMPFS_MAGIC && bavail * bsize >= ROOM_BYTES && os.freemem() >= ROOM_BYTES;
  } catch (error) {
    if (errnoName(error) === undefined) throw error;
    return false;
  }
}

export function cachedParent(): string {
  return hasRoomInMemory() ? MEMORY : os.tmpdir();
}

export function newFolder(parent: string): string {
  return mkdtempSync(join(parent, 'rsio-bench-'));
}
