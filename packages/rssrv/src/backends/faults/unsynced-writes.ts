// The writes of one volume that its storage has not got yet, because no flush asked for them: what a machine would lose when it crashes.
// Pure; the log that keeps them over processes is unsynced-log.ts, the storage is unsynced-backend.ts's.
// Invariant: the storage with all pieces laid over it, in their order, is what a read has to see.

export interface UnsyncedPiece {
  /** Grows from piece to piece; parts of a piece that was cut share it. */
  readonly number: number;
  readonly positionBytes: number;
  readonly lengthBytes: number;
  /** Null: zeros. */
  readonly data: Buffer | null;
}

export class UnsyncedWrites {
  private list: UnsyncedPiece[] = [];
  private lastNumber = 0;

  /** In their order. */
  get pieces(): readonly UnsyncedPiece[] {
    return this.list;
  }

  /** Of the newest piece; 0: there was none. */
  get last(): number {
    return this.lastNumber;
  }

  /** `data` belongs to the pieces from now on. */
  add(positionBytes: number, lengthBytes: number, data: Buffer | null): void {
    this.list.push({ number: ++this.lastNumber, positionBytes, lengthBytes, data });
  }

  /** The storage itself has got something newer there. */
  cut(positionBytes: number, lengthBytes: number): void {
    const endBytes = positionBytes + lengthBytes;
    this.list = this.list.flatMap((piece) => {
      const pieceEnd = piece.positionBytes + piece.lengthBytes;
      if (piece.positionBytes >= endBytes || pieceEnd <= positionBytes) return [piece];
      return [part(piece, piece.positionBytes, positionBytes), part(piece, endBytes, pieceEnd)].filter((left) => left.lengthBytes > 0);
    });
  }

  /** The storage has these, durably. */
  forget(upTo: number): void {
    this.list = this.list.filter(({ number }) => number > upTo);
  }

  /** Those that a read of this range has to see over what the storage says. */
  overlapping(positionBytes: number, lengthBytes: number): readonly UnsyncedPiece[] {
    const endBytes = positionBytes + lengthBytes;
    return this.list.filter((piece) => piece.positionBytes < endBytes && piece.positionBytes + piece.lengthBytes > positionBytes);
  }
}

/** Lays pieces over what was read from `positionBytes` on into `target`. */
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
