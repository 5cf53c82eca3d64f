// Maps an offset in a volume of several files to a file and the offset in the file. Pure. `concat`: the files follow one another. `stripe`:
// chunks are distributed over the files round-robin. Invariants: each byte of the volume is in exactly one place. A range of the volume is
// one contiguous range in each file that it touches.

export interface LayoutShape {
  /** Size of a chunk of a `stripe`; null for a `concat`. */
  readonly chunkBytes: number | null;
  readonly parts: readonly { readonly sizeBytes: number }[];
}

/** The part of a request that concerns one file. */
export interface Portion {
  readonly part: number;
  /** Position in the file. */
  readonly positionBytes: number;
  readonly lengthBytes: number;
  /** A flat list of pairs (offset in the request, length), ordered by the position in the file. */
  readonly pieces: readonly number[];
}

/**
 * ```
 * stripe of 3 files, by chunks        concat of 2 files
 * file 0:  0  3  6  9                 file 0:  0 1 2 3 4
 * file 1:  1  4  7 10                 file 1:  5 6 7 8 ...
 * file 2:  2  5  8                    the last file grows with the volume
 * ```
 */
export class LayoutMap {
  readonly partCount: number;
  readonly chunkBytes: number | null;
  /**
   * The result of `seek`. `part`: index of the file. `partPositionBytes`: position in the file. `runBytes`: how many bytes from this
   * position on are contiguous both in the file and in the volume.
   */
  part = 0;
  partPositionBytes = 0;
  runBytes = 0;
  /** Where each file of a `concat` begins in the volume. */
  private readonly starts: readonly number[];

  constructor({ chunkBytes, parts }: LayoutShape) {
    this.partCount = parts.length;
    this.chunkBytes = chunkBytes;
    let startBytes = 0;
    this.starts = parts.map(({ sizeBytes }) => (startBytes += sizeBytes) - sizeBytes);
  }

  /** Finds the place of one byte. Writes the result into fields of this object, because the data path creates no objects. */
  seek(positionBytes: number): void {
    const { chunkBytes } = this;
    if (chunkBytes === null) {
      this.part = this.starts.findLastIndex((startBytes) => startBytes <= positionBytes);
      this.partPositionBytes = positionBytes - (this.starts[this.part] ?? 0);
      this.runBytes = (this.starts[this.part + 1] ?? Number.MAX_SAFE_INTEGER) - positionBytes;
      return;
    }
    const chunk = Math.floor(positionBytes / chunkBytes);
    const inChunkBytes = positionBytes - chunk * chunkBytes;
    this.part = chunk % this.partCount;
    this.partPositionBytes = Math.floor(chunk / this.partCount) * chunkBytes + inChunkBytes;
    this.runBytes = chunkBytes - inChunkBytes;
  }

  /** Converts the position of a byte in a file to the offset of the byte in the volume. */
  volumeOffset(part: number, partPositionBytes: number): number {
    const { chunkBytes } = this;
    if (chunkBytes === null) return (this.starts[part] ?? 0) + partPositionBytes;
    const chunk = Math.floor(partPositionBytes / chunkBytes);
    return (chunk * this.partCount + part) * chunkBytes + (partPositionBytes - chunk * chunkBytes);
  }

  /** Returns how many bytes of a file belong to the first `endBytes` bytes of the volume. */
  bytesBefore(part: number, endBytes: number): number {
    const { chunkBytes } = this;
    if (chunkBytes === null) {
      const startBytes = this.starts[part] ?? 0;
      const nextBytes = this.starts[part + 1] ?? Number.MAX_SAFE_INTEGER;
      return Math.max(0, Math.min(endBytes, nextBytes) - startBytes);
    }
    const rowBytes = chunkBytes * this.partCount;
    const rows = Math.floor(endBytes / rowBytes);
    const restBytes = endBytes - rows * rowBytes - part * chunkBytes;
    return rows * chunkBytes + Math.min(chunkBytes, Math.max(0, restBytes));
  }

  /**
   * Returns the size that a file has if the volume has `sizeBytes` bytes. All files of a stripe have the same size, which is a whole
   * number of chunks.
   */
  partBytes(part: number, sizeBytes: number): number {
    const { chunkBytes, partCount } = this;
    return chunkBytes === null ? this.bytesBefore(part, sizeBytes) : stripePartBytes(sizeBytes, chunkBytes, partCount);
  }

  /** Returns the portions of a range, at most one for each file. The range must not be longer than a request. */
  split(positionBytes: number, lengthBytes: number): Portion[] {
    const portions = new Map<number, { part: number; positionBytes: number; lengthBytes: number; pieces: number[] }>();
    for (let offset = 0; offset < lengthBytes; ) {
      this.seek(positionBytes + offset);
      const { part } = this;
      const pieceBytes = Math.min(this.runBytes, lengthBytes - offset);
      let portion = portions.get(part);
      if (portion === undefined) {
        portion = { part, positionBytes: this.partPositionBytes, lengthBytes: 0, pieces: [] };
        portions.set(part, portion);
      }
      portion.pieces.push(offset, pieceBytes);
      portion.lengthBytes += pieceBytes;
      offset += pieceBytes;
    }
    return [...portions.values()];
  }
}

/** Returns the size of each file of a stripe with this many bytes. All files have the same size, which is a whole number of chunks. */
export function stripePartBytes(sizeBytes: number, chunkBytes: number, partCount: number): number {
  return Math.ceil(sizeBytes / (chunkBytes * partCount)) * chunkBytes;
}
