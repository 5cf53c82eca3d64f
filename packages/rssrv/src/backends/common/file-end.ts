// Whether the file below a volume still reaches to the volume's end. One that was cut gives zeros for data as soon as a later write has made
// it longer again, and nothing in the file tells. Only a write of the volume's last bytes gives it back its size: before such a write the
// size is looked at, so that a cut file stays too short, and is found by the next look. Leaves what follows to session-volumes.ts.
// Invariant: one that was found cut is cut for good; only a backend that is opened anew, on a whole file, goes on.

import fs from 'node:fs';
import { errnoName } from '@rsio/common/lib/errors';
import { type IoEnd, SHORT_READ } from './positioned-io.ts';

export class FileEnd {
  private readonly descriptor: number;
  /** Whether the size of the descriptor means anything: that of a device does not. */
  private readonly hasSize: boolean;
  private endBytes: number;
  private wasCut = false;
  /** Something was done since the last look. */
  private isUsed = false;

  constructor(descriptor: number, endBytes: number, hasSize: boolean) {
    this.descriptor = descriptor;
    this.endBytes = endBytes;
    this.hasSize = hasSize;
  }

  get isCut(): boolean {
    return this.wasCut;
  }

  /** The volume is larger; its storage is so already. */
  grow(sizeBytes: number): void {
    this.endBytes = Math.max(this.endBytes, sizeBytes);
  }

  /** A read ended early. */
  cut(): void {
    this.wasCut = true;
  }

  /** Whether a write of this range could give a cut file its size back: `look` first. Notes that the file is in use. */
  touches(positionBytes: number, lengthBytes: number): boolean {
    this.isUsed = true;
    return this.hasSize && positionBytes + lengthBytes >= this.endBytes;
  }

  /** Whether it was used since the last look. */
  get needsCheck(): boolean {
    return this.hasSize && this.isUsed && !this.wasCut;
  }

  /** Looks at the size, off the loop: SHORT_READ when it is too short, or was found so before. Never ends before it returns. */
  check(end: IoEnd): void {
    this.isUsed = false;
    if (!this.hasSize || this.wasCut) {
      setImmediate(end, this.wasCut ? SHORT_READ : null);
      return;
    }
    // The file grows before the volume does, but a volume may grow while this look is under way.
    const { endBytes } = this;
    fs.fstat(this.descriptor, (error, stats) => {
      if (error === null && stats.size < endBytes) this.wasCut = true;
      end(error === null ? (this.wasCut ? SHORT_READ : null) : (errnoName(error) ?? 'EIO'));
    });
  }
}
