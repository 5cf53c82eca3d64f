// The local file of a pull: writes, holes and syncs. Invariant: after `close`, nothing more is written, and every error names the file and
// a remedy.

import { type FileHandle, open } from 'node:fs/promises';
import { errnoName, errnoRemedy, RsError } from '@rsio/base/lib/errors';
import { PULL_PIECE_BYTES } from '../../limits.ts';

/** Makes a hole in an open file. Returns false if the file system cannot make holes. */
export type Punch = (descriptor: number, offsetBytes: number, lengthBytes: number) => Promise<boolean>;

const ZEROS = Buffer.alloc(PULL_PIECE_BYTES);

export class PulledFile {
  private readonly handle: FileHandle;
  private readonly path: string;
  private readonly punch: Punch;

  private constructor(handle: FileHandle, path: string, punch: Punch) {
    this.handle = handle;
    this.path = path;
    this.punch = punch;
  }

  /** Throws unless `path` is a regular file of at least `sizeBytes` that can be written. */
  static async open(path: string, sizeBytes: number, punch: Punch): Promise<PulledFile> {
    const handle = await open(path, 'r+').catch((thrown: unknown) => {
      throw failure(path, 'opened', thrown);
    });
    const stats = await handle.stat();
    if (stats.isFile() && stats.size >= sizeBytes) return new PulledFile(handle, path, punch);
    await handle.close();
    throw new RsError('E_STORAGE', `${path} has ${stats.size} bytes, and ${sizeBytes} are to be copied into it: create it again`, { path });
  }

  /** Throws unless the file has the whole range. */
  async read(buffer: Buffer, lengthBytes: number, offsetBytes: number): Promise<void> {
    try {
      for (let done = 0; done < lengthBytes; ) {
        const { bytesRead } = await this.handle.read(buffer, done, lengthBytes - done, offsetBytes + done);
        if (bytesRead === 0) throw new RsError('E_STORAGE', `${this.path} was made shorter: the copy begins again`, { path: this.path });
        done += bytesRead;
      }
    } catch (thrown) {
      throw thrown instanceof RsError ? thrown : failure(this.path, 'read', thrown);
    }
  }

  async write(buffer: Buffer, lengthBytes: number, offsetBytes: number): Promise<void> {
    try {
      for (let done = 0; done < lengthBytes; ) {
        const { bytesWritten } = await this.handle.write(buffer, done, lengthBytes - done, offsetBytes + done);
        done += bytesWritten;
      }
    } catch (thrown) {
      throw failure(this.path, 'written', thrown);
    }
  }

  /** Makes a range read as zeros. */
  async zero(offsetBytes: number, lengthBytes: number): Promise<void> {
    if (await this.punch(this.handle.fd, offsetBytes, lengthBytes)) return;
    for (let done = 0; done < lengthBytes; done += ZEROS.length)
      await this.write(ZEROS, Math.min(ZEROS.length, lengthBytes - done), offsetBytes + done);
  }

  async sync(): Promise<void> {
    await this.handle.datasync().catch((thrown: unknown) => {
      throw failure(this.path, 'synced', thrown);
    });
  }

  async close(): Promise<void> {
    await this.handle.close().catch(() => undefined);
  }
}

function failure(path: string, what: string, thrown: unknown): RsError {
  const errno = errnoName(thrown) ?? 'unknown error';
  const isFull = errno === 'ENOSPC' || errno === 'EDQUOT';
  const remedy = errnoRemedy(errno) ?? 'check the pool';
  return new RsError(isFull ? 'E_SPACE' : 'E_STORAGE', `${path} cannot be ${what} (${errno}): ${remedy}`, { path }, thrown);
}
