// Detects that the file of a volume was truncated. A later write would extend such a file again, which then reads as zeros, and nothing in the file
// tells. Only a write of the volume's last bytes restores the size; before such a write the size is checked, so that a truncated file stays too short
// and the next check finds it. session-volumes.ts acts on it. Invariant: truncated stays truncated; only a backend opened again, on a whole file,
// goes on.

import fs from 'node:fs';
import { errnoName } from '@rsio/common/lib/errors';
import { type IoEnd, SHORT_READ } from './positioned-io.ts';

export class FileEnd {
  private readonly descriptor: number;
  /** Whether the descriptor has a meaningful size; that of a device has not. */
  private readonly hasSize: boolean;
  private endBytes: number;
  private wasCut = false;
  /** The file was used since the last check. */
  private isUsed = false;

  constructor(descriptor: number, endBytes: number, hasSize: boolean) {
    this.descriptor = descriptor;
    this.endBytes = endBytes;
    this.hasSize = hasSize;
  }

  get isCut(): boolean {
    return this.wasCut;
  }

  /** The volume has grown; its storage has grown before. */
  grow(sizeBytes: number): void {
    this.endBytes = Math.max(this.endBytes, sizeBytes);
  }

  /** A read ended early: the file was truncated. */
  cut(): void {
    this.wasCut = true;
  }

  /** Whether a write of this range could restore the size of a truncated file; then `check` first. Records that the file is in use. */
  touches(positionBytes: number, lengthBytes: number): boolean {
    this.isUsed = true;
    return this.hasSize && positionBytes + lengthBytes >= this.endBytes;
  }

  /** Whether it was used since the last check. */
  get needsCheck(): boolean {
    return this.hasSize && this.isUsed && !this.wasCut;
  }

  /** Checks the size in the thread pool: SHORT_READ if the file is, or was found, too short. Never calls `end` before it returns. */
  check(end: IoEnd): void {
    this.isUsed = false;
    if (!this.hasSize || this.wasCut) {
      setImmediate(end, this.wasCut ? SHORT_READ : null);
      return;
    }
    // A volume may grow during this check; its file has grown before.
    const { endBytes } = this;
    fs.fstat(this.descriptor, (error, stats) => {
      if (error === null && stats.size < endBytes) this.wasCut = true;
      end(error === null ? (this.wasCut ? SHORT_READ : null) : (errnoName(error) ?? 'EIO'));
    });
  }
}
