// A disk or file that is read and written past all caches. Invariants: a write that has ended is durable, and a read returns the content of
// the disk. A disk is opened exclusively, so that no other program of this machine mounts it, and no two processes write one register. The
// kernel keeps the disk busy until the last I/O of an earlier process has ended.

import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { throughLibc } from '../../machine/libc.ts';
import { BLOCK_BYTES } from './header-format.ts';
import type { HeaderFile } from './header-disk.ts';

const { O_RDWR, O_DIRECT, O_DSYNC, O_EXCL } = constants;
const REMEDIES: Readonly<Record<string, string>> = {
  EBUSY: 'unmount it, or end the process that has it open (lsblk, fuser)',
  EINVAL: 'use a disk, because its file system refuses direct I/O',
};
const addressOf = throughLibc(({ address }) => address);

export class DirectFile implements HeaderFile {
  private readonly path: string;
  private readonly handle: FileHandle;
  private readonly address: (bytes: Uint8Array) => number;

  private constructor(path: string, handle: FileHandle, address: (bytes: Uint8Array) => number) {
    this.path = path;
    this.handle = handle;
    this.address = address;
  }

  /** Throws E_STORAGE if the disk does not exist, this machine uses it already, or its file system has no direct I/O. */
  static async open(path: string): Promise<DirectFile> {
    const address = addressOf();
    try {
      const isDisk = (await stat(path)).isBlockDevice();
      return new DirectFile(path, await open(path, O_RDWR | O_DIRECT | O_DSYNC | (isDisk ? O_EXCL : 0)), address);
    } catch (thrown) {
      const errno = errnoName(thrown) ?? String(thrown);
      const remedy = REMEDIES[errno] ?? 'check the name, the cables and the rights';
      throw new RsError('E_STORAGE', `Disk ${path} cannot be opened (${errno}): ${remedy}`, { path }, thrown);
    }
  }

  async read(positionBytes: number, lengthBytes: number, spare: Buffer | null = null): Promise<Buffer> {
    const target = spare?.length === lengthBytes ? spare : this.aligned(lengthBytes);
    const { bytesRead } = await this.handle.read(target, 0, lengthBytes, positionBytes);
    if (bytesRead !== lengthBytes) throw new RsError('E_STORAGE', `Disk ${this.path} ends within its header: check its size`);
    return target;
  }

  async write(positionBytes: number, bytes: Buffer): Promise<void> {
    const source = this.aligned(bytes.length);
    bytes.copy(source);
    const { bytesWritten } = await this.handle.write(source, 0, source.length, positionBytes);
    if (bytesWritten !== source.length) throw new RsError('E_STORAGE', `Disk ${this.path} took a part of a write: check the disk`);
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  /** Direct I/O needs memory at a multiple of the sector size. */
  private aligned(lengthBytes: number): Buffer {
    const room = Buffer.allocUnsafeSlow(lengthBytes + BLOCK_BYTES);
    const from = BLOCK_BYTES - (this.address(room) % BLOCK_BYTES);
    return room.subarray(from, from + lengthBytes);
  }
}
