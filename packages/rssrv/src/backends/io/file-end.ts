// Detects that the file of a volume has been truncated. If a later write extended the file again, the lost part would read as zeros, and
// the truncation could no longer be detected. Only a write to the last bytes of the volume could extend a truncated file to its full size
// and so hide the truncation. The size is therefore checked before each such write, and a truncated file stays too short until a check
// detects the truncation. The module session-volumes.ts handles the result of a check. Invariant: once a backend has found its file truncated, the file counts as truncated
// until a new backend is opened on the restored file.

import fs from 'node:fs';
import { errnoName } from '@rsio/common/lib/errors';
import { type IoEnd, SHORT_READ } from './positioned-io.ts';

export class FileEnd {
  private readonly descriptor: number;
  /** True if fstat returns a meaningful size for the descriptor; false for a block device. */
  private readonly hasSize: boolean;
  private endBytes: number;
  private wasCut = false;
  /** True if the file has been used since the last check. */
  private isUsed = false;

  constructor(descriptor: number, endBytes: number, hasSize: boolean) {
    this.descriptor = descriptor;
    this.endBytes = endBytes;
    this.hasSize = hasSize;
  }

  get isCut(): boolean {
    return this.wasCut;
  }

  /** Records that the volume has grown and that its storage has already been extended. */
  grow(sizeBytes: number): void {
    this.endBytes = Math.max(this.endBytes, sizeBytes);
  }

  /** Records that the file has been truncated. The caller has detected this because a read ended early. */
  cut(): void {
    this.wasCut = true;
  }

  /**
   * Returns true if a write of this range could restore the size of a truncated file. If the result is true, the caller must call `check`
   * before the write. This method also records that the file has been used.
   */
  touches(positionBytes: number, lengthBytes: number): boolean {
    this.isUsed = true;
    return this.hasSize && positionBytes + lengthBytes >= this.endBytes;
  }

  /** True if the file has been used since the last check and therefore needs another one. */
  get needsCheck(): boolean {
    return this.hasSize && this.isUsed && !this.wasCut;
  }

  /**
   * Checks the size of the file in the thread pool. `end` gets SHORT_READ if the file is too short, or if an earlier check or read found it
   * too short. `end` is never called before `check` returns.
   */
  check(end: IoEnd): void {
    this.isUsed = false;
    if (!this.hasSize || this.wasCut) {
      setImmediate(end, this.wasCut ? SHORT_READ : null);
      return;
    }
    // Remember the expected size before calling fstat, because fstat may return the old size of the file if the volume grows during the
    // call.
    const { endBytes } = this;
    fs.fstat(this.descriptor, (error, stats) => {
      if (error === null && stats.size < endBytes) this.wasCut = true;
      end(error === null ? (this.wasCut ? SHORT_READ : null) : (errnoName(error) ?? 'EIO'));
    });
  }
}
