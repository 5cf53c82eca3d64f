// Keeps the writes to one volume that no flush has yet moved to the storage. This module is pure: unsynced-log.ts stores the writes in a
// file, and unsynced-backend.ts owns the storage. Invariant: the content of the volume is the storage's data, overwritten by all pieces in
// order.

export interface UnsyncedPiece {
  /** The pieces are numbered in the order in which they were written. If a piece is split, the parts keep the number of the piece. */
  readonly number: number;
  readonly positionBytes: number;
  readonly lengthBytes: number;
  /** Null means zeros. */
  readonly data: Buffer | null;
}

export class UnsyncedWrites {
  private list: UnsyncedPiece[] = [];
  private lastNumber = 0;

  get pieces(): readonly UnsyncedPiece[] {
    return this.list;
  }

  /** Number of the newest piece; 0 if there has been no piece yet. */
  get last(): number {
    return this.lastNumber;
  }

  /** Adds a write. The caller must not change `data` afterwards. */
  add(positionBytes: number, lengthBytes: number, data: Buffer | null): void {
    this.list.push({ number: ++this.lastNumber, positionBytes, lengthBytes, data });
  }

  /** Removes a range from all pieces after newer data for the range has reached the storage. */
  cut(positionBytes: number, lengthBytes: number): void {
    const endBytes = positionBytes + lengthBytes;
    this.list = this.list.flatMap((piece) => {
      const pieceEnd = piece.positionBytes + piece.lengthBytes;
      if (piece.positionBytes >= endBytes || pieceEnd <= positionBytes) return [piece];
      return [part(piece, piece.positionBytes, positionBytes), part(piece, endBytes, pieceEnd)].filter((left) => left.lengthBytes > 0);
    });
  }

  /** Removes all pieces with numbers up to `upTo`. */
  forget(upTo: number): void {
    this.list = this.list.filter(({ number }) => number > upTo);
  }

  /** Returns the pieces that overlap this range. A read must lay the overlapping pieces over the data from the storage. */
  overlapping(positionBytes: number, lengthBytes: number): readonly UnsyncedPiece[] {
    const endBytes = positionBytes + lengthBytes;
    return this.list.filter((piece) => piece.positionBytes < endBytes && piece.positionBytes + piece.lengthBytes > positionBytes);
  }
}

/** Overwrites the data in `target` with the pieces. `target` holds data that was read from the storage at `positionBytes`. */
export function layOver(
  pieces: readonly UnsyncedPiece[],
  target: Buffer,
  offset: number,
  lengthBytes: number,
  positionBytes: number,
): void {
  for (const piece of pieces) {
    const from = Math.max(piece.positionBytes, positionBytes);
    const to = Math.min(piece.positionBytes + piece.lengthBytes, positionBytes + lengthBytes);
    if (from >= to) continue;
    const at = offset + from - positionBytes;
    if (piece.data === null) target.fill(0, at, at + to - from);
    else piece.data.copy(target, at, from - piece.positionBytes, to - piece.positionBytes);
  }
}

function part(piece: UnsyncedPiece, from: number, to: number): UnsyncedPiece {
  const lengthBytes = Math.max(0, to - from);
  const at = from - piece.positionBytes;
  return { ...piece, positionBytes: from, lengthBytes, data: piece.data?.subarray(at, at + lengthBytes) ?? null };
}
