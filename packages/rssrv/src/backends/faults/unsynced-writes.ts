// Writes to one volume that its storage does not have yet, because no flush has followed them. A crash of the machine loses them. Pure;
// unsynced-log.ts stores the writes, unsynced-backend.ts owns the storage. Invariant: a read must see the storage's data with all pieces
// laid over it in order.

export interface UnsyncedPiece {
  /** Increases from piece to piece. The parts of a split piece have the same number. */
  readonly number: number;
  readonly positionBytes: number;
  readonly lengthBytes: number;
  /** Null means zeros. */
  readonly data: Buffer | null;
}

export class UnsyncedWrites {
  private list: UnsyncedPiece[] = [];
  private lastNumber = 0;

  /** All pieces, in the order of their numbers. */
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

  /** Removes a range for which the storage has newer data. */
  cut(positionBytes: number, lengthBytes: number): void {
    const endBytes = positionBytes + lengthBytes;
    this.list = this.list.flatMap((piece) => {
      const pieceEnd = piece.positionBytes + piece.lengthBytes;
      if (piece.positionBytes >= endBytes || pieceEnd <= positionBytes) return [piece];
      return [part(piece, piece.positionBytes, positionBytes), part(piece, endBytes, pieceEnd)].filter((left) => left.lengthBytes > 0);
    });
  }

  /** Removes pieces that the storage durably has. */
  forget(upTo: number): void {
    this.list = this.list.filter(({ number }) => number > upTo);
  }

  /** Pieces that a read of this range must lay over the storage's data. */
  overlapping(positionBytes: number, lengthBytes: number): readonly UnsyncedPiece[] {
    const endBytes = positionBytes + lengthBytes;
    return this.list.filter((piece) => piece.positionBytes < endBytes && piece.positionBytes + piece.lengthBytes > positionBytes);
  }
}

/** Lays pieces over the data in `target`, which was read from the storage at `positionBytes`. */
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
