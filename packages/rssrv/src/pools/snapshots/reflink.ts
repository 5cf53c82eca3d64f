// System calls that clone files and ranges of files, and that read the extents of a file. After a clone, original and copy share blocks
// until one of the two is written. Invariant: no call blocks the event loop. The calls for ranges run in the thread pool.

import { constants } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { callFailure, throughLibc } from '../../machine/libc.ts';
import type { MappedExtent, RangeCalls, Reflink } from '../disk/data-file.ts';

const { COPYFILE_EXCL, COPYFILE_FICLONE_FORCE } = constants;

/** Request numbers of ioctl(2) on x86-64 and arm64. */
const FICLONERANGE = 0x4020940d;
const FIEMAP = 0xc020660b;
/**
 * CLONE_...: offsets of the fields in the structure of FICLONERANGE. MAP_...: offsets of the fields in the structure of FIEMAP. The extents
 * follow this structure in memory. The structures of FICLONERANGE and FIEMAP have STRUCTURE_BYTES bytes each. EXTENT_...: offsets of the
 * fields in an extent.
 */
const [CLONE_FROM, CLONE_OFFSET, CLONE_LENGTH, CLONE_TO_OFFSET] = [0, 8, 16, 24];
const [MAP_OFFSET, MAP_LENGTH, MAP_FLAGS, MAP_MAPPED, MAP_ROOM] = [0, 8, 16, 20, 24];
const STRUCTURE_BYTES = 32;
const [EXTENT_OFFSET, EXTENT_PLACE, EXTENT_LENGTH, EXTENT_FLAGS] = [0, 8, 16, 40];
const EXTENT_BYTES = 56;
/** Flag of FIEMAP that makes the kernel write dirty data back before it reports extents. */
const FIEMAP_FLAG_SYNC = 1;

export function systemReflink(): Reflink {
  return { cloneFile: (from, to) => copyFile(from, to, COPYFILE_FICLONE_FORCE | COPYFILE_EXCL), ranges: rangeCalls() };
}

const rangeCalls = throughLibc(({ ioctl, inThread }): RangeCalls => {
  const called = ioctl();
  const call = async (descriptor: number, request: number, structure: Buffer, what: string): Promise<void> => {
    const errno = await inThread(called, descriptor, request, structure);
    if (errno !== 0) throw callFailure(what, errno);
  };
  return {
    cloneRange: async (from, to, offsetBytes, lengthBytes) => {
      const structure = Buffer.alloc(STRUCTURE_BYTES);
      structure.writeBigInt64LE(BigInt(from), CLONE_FROM);
      structure.writeBigUInt64LE(BigInt(offsetBytes), CLONE_OFFSET);
      structure.writeBigUInt64LE(BigInt(lengthBytes), CLONE_LENGTH);
      structure.writeBigUInt64LE(BigInt(offsetBytes), CLONE_TO_OFFSET);
      await call(to, FICLONERANGE, structure, 'ioctl(FICLONERANGE)');
    },
    // The structure has room for 0 extents, so that the kernel only counts the extents.
    countExtents: async (descriptor, offsetBytes, lengthBytes) => {
      const structure = Buffer.alloc(STRUCTURE_BYTES);
      structure.writeBigUInt64LE(BigInt(offsetBytes), MAP_OFFSET);
      structure.writeBigUInt64LE(BigInt(lengthBytes), MAP_LENGTH);
      await call(descriptor, FIEMAP, structure, 'ioctl(FIEMAP)');
      return structure.readUInt32LE(MAP_MAPPED);
    },
    mapExtents: async (descriptor, offsetBytes, lengthBytes, max) => {
      const structure = Buffer.alloc(STRUCTURE_BYTES + max * EXTENT_BYTES);
      structure.writeBigUInt64LE(BigInt(offsetBytes), MAP_OFFSET);
      structure.writeBigUInt64LE(BigInt(lengthBytes), MAP_LENGTH);
      structure.writeUInt32LE(FIEMAP_FLAG_SYNC, MAP_FLAGS);
      structure.writeUInt32LE(max, MAP_ROOM);
      await call(descriptor, FIEMAP, structure, 'ioctl(FIEMAP)');
      const count = Math.min(max, structure.readUInt32LE(MAP_MAPPED));
      return Array.from({ length: count }, (_, index) => extentAt(structure, STRUCTURE_BYTES + index * EXTENT_BYTES));
    },
  };
});

function extentAt(structure: Buffer, at: number): MappedExtent {
  const number = (field: number): number => Number(structure.readBigUInt64LE(at + field));
  return {
    offsetBytes: number(EXTENT_OFFSET),
    lengthBytes: number(EXTENT_LENGTH),
    physicalBytes: number(EXTENT_PLACE),
    flags: structure.readUInt32LE(at + EXTENT_FLAGS),
  };
}

/** Returns true for the errors of a clone on a file system that cannot clone. */
export function isWithoutReflink(errno: string | undefined): boolean {
  return (
    errno === 'ENOTSUP' || errno === 'EOPNOTSUPP' || errno === 'ENOTTY' || errno === 'EXDEV' || errno === 'EINVAL' || errno === 'ENOSYS'
  );
}
