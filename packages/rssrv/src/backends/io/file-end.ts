// Detects that the file of a volume was truncated. A later write could extend the file again: the lost part would then read as zeros, and
// the truncation could no longer be detected. Because only a write of the volume's last bytes restores the full size, the size is checked
// before these writes. A truncated file therefore stays too short until the next check. session-volumes.ts acts on the result. Invariant:
// once found truncated, a file counts as truncated until a new backend is opened on a whole file.

import fs from 'node:fs';
import { errnoName } from '@rsio/common/lib/errors';
import { type IoEnd, SHORT_READ } from './positioned-io.ts';

export class FileEnd {
  private readonly descriptor: number;
  /** True if the descriptor has a meaningful size. The descriptor of a device has none. */
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

  /** Records that the volume has grown. Its storage has already been extended. */
  grow(sizeBytes: number): void {
    this.endBytes = Math.max(this.endBytes, sizeBytes);
  }

  /** Records that the file was truncated, because a read ended early. */
  cut(): void {
    this.wasCut = true;
  }

  /**
   * Returns true if a write of this range could restore the size of a truncated file. The caller then calls `check` first. Also records
   * that the file is in use.
   */
  touches(positionBytes: number, lengthBytes: number): boolean {
    this.isUsed = true;
    return this.hasSize && positionBytes + lengthBytes >= this.endBytes;
  }

  /** True if the file needs a check because it has been used since the last one. */
  get needsCheck(): boolean {
    return this.hasSize && this.isUsed && !this.wasCut;
  }

  /**
   * Checks the size in the thread pool. `end` gets SHORT_READ if the file is too short or has been found too short before. `end` is never
   * called before `check` returns.
   */
  check(end: IoEnd): void {
    this.isUsed = false;
    if (!this.hasSize || this.wasCut) {
      setImmediate(end, this.wasCut ? SHORT_READ : null);
      return;
    }
    // Note the expected size before calling fstat: if the volume grows during the call, fstat may still return the old size of the file.
    const { endBytes } = this;
    fs.fstat(this.descriptor, (error, stats) => {
      if (error === null && stats.size < endBytes) this.wasCut = true;
      end(error === null ? (this.wasCut ? SHORT_READ : null) : (errnoName(error) ?? 'EIO'));
    });
  }
}
