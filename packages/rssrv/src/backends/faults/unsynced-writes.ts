// Writes of one volume that its storage does not have yet, because no flush has requested them: what a crash of the machine loses. Pure;
// unsynced-log.ts keeps them, unsynced-backend.ts has the storage. Invariant: the storage with all pieces laid over it in order is what a read must
// see.

export interface UnsyncedPiece {
  /** Grows from piece to piece; parts of a piece that was split share it. */
  readonly number: number;
  readonly positionBytes: number;
  readonly lengthBytes: number;
  /** Null: zeros. */
  readonly data: Buffer | null;
}

export class UnsyncedWrites {
  private list: UnsyncedPiece[] = [];
  private lastNumber = 0;

  /** In order of their numbers. */
  get pieces(): readonly UnsyncedPiece[] {
    return this.list;
  }

  /** Number of the newest piece; 0: there was none. */
  get last(): number {
    return this.lastNumber;
  }

  /** Takes ownership of `data`. */
  add(positionBytes: number, lengthBytes: number, data: Buffer | null): void {
    this.list.push({ number: ++this.lastNumber, positionBytes, lengthBytes, data });
  }

  /** The storage has newer data in this range. */
  cut(positionBytes: number, lengthBytes: number): void {
    const endBytes = positionBytes + lengthBytes;
    this.list = this.list.flatMap((piece) => {
      const pieceEnd = piece.positionBytes + piece.lengthBytes;
      if (piece.positionBytes >= endBytes || pieceEnd <= positionBytes) return [piece];
      return [part(piece, piece.positionBytes, positionBytes), part(piece, endBytes, pieceEnd)].filter((left) => left.lengthBytes > 0);
    });
  }

  /** The storage has these pieces, durably. */
  forget(upTo: number): void {
    this.list = this.list.filter(({ number }) => number > upTo);
  }

  /** Pieces that a read of this range must see over the storage's data. */
  overlapping(positionBytes: number, lengthBytes: number): readonly UnsyncedPiece[] {
    const endBytes = positionBytes + lengthBytes;
    return this.list.filter((piece) => piece.positionBytes < endBytes && piece.positionBytes + piece.lengthBytes > positionBytes);
  }
}

/** Lays pieces over data that was read from `positionBytes` on into `target`. */
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
