// Detects that the file of a volume has been truncated. A write behind the end of a truncated file makes the file longer again, and the
// lost part then reads as zeros. Each operation therefore looks at the size after it has run, and an operation that could give the file its
// full size also looks before. Clients of a truncated file wait, because an I/O error would tell a database that only one block is bad.
// Only the administrator says that the file is complete: a copy may reach its full size before its content. Invariants: no read succeeds if
// the file was shorter than the volume when the read ended. A backend that has found its file truncated treats the file as truncated until
// the backend is closed.

import fs from 'node:fs';
import { errnoName } from '@rsio/base/lib/errors';
import type { FileSize } from './file-size.ts';
import { type IoEnd, SHORT_READ } from './positioned-io.ts';

/** Detects truncation of a volume's storage. */
export interface StorageEnd {
  /** True once the storage has been found truncated. */
  readonly isCut: boolean;
  /** True if the storage has been used since the last check of its size; another check is then needed. */
  readonly needsCheck: boolean;
  /** Records the new size of a volume whose storage has already been extended. */
  grow(sizeBytes: number): void;
  /**
   * Checks the size of the storage in the thread pool. `end` gets SHORT_READ if the storage is too short, or if an earlier check or read
   * has found it too short. `end` is never called before `check` returns.
   */
  check(end: IoEnd): void;
}

export class FileEnd implements StorageEnd {
  private readonly descriptor: number;
  /** True if fstat returns a meaningful size for the descriptor; false for a block device. */
  private readonly hasSize: boolean;
  private readonly sizeOf: FileSize;
  private endBytes: number;
  private wasCut = false;
  private isUsed = false;

  constructor(descriptor: number, endBytes: number, hasSize: boolean, sizeOf: FileSize) {
    this.descriptor = descriptor;
    this.endBytes = endBytes;
    this.hasSize = hasSize;
    this.sizeOf = sizeOf;
  }

  get isCut(): boolean {
    return this.wasCut;
  }

  grow(sizeBytes: number): void {
    this.endBytes = Math.max(this.endBytes, sizeBytes);
  }

  /** Records a truncation that the caller has detected by a read that ended early. */
  cut(): void {
    this.wasCut = true;
  }

  /**
   * Returns true if a write of this range could extend a truncated file to its full size. If the result is true, the caller must call
   * `check` before the write. `touches` also records that the file has been used.
   */
  touches(positionBytes: number, lengthBytes: number): boolean {
    this.isUsed = true;
    return this.hasSize && positionBytes + lengthBytes >= this.endBytes;
  }

  get needsCheck(): boolean {
    return this.hasSize && this.isUsed && !this.wasCut;
  }

  /**
   * Looks at the size on the calling thread, after an operation has run. Returns SHORT_READ if the file is too short, or has been found
   * too short before, and an errno if the size cannot be read. Does not throw, because other operations are answered in the same turn.
   */
  look(): string | null {
    if (!this.hasSize) return null;
    try {
      if (!this.wasCut && this.sizeOf(this.descriptor) < this.endBytes) this.wasCut = true;
    } catch (error) {
      return errnoName(error) ?? 'EIO';
    }
    return this.wasCut ? SHORT_READ : null;
  }

  check(end: IoEnd): void {
    this.isUsed = false;
    if (!this.hasSize || this.wasCut) {
      setImmediate(end, this.wasCut ? SHORT_READ : null);
      return;
    }
    // Read the expected size before calling fstat: if the volume grows during the call, fstat may return the old size.
    const { endBytes } = this;
    fs.fstat(this.descriptor, (error, stats) => {
      if (error === null && stats.size < endBytes) this.wasCut = true;
      end(error === null ? (this.wasCut ? SHORT_READ : null) : (errnoName(error) ?? 'EIO'));
    });
  }
}
