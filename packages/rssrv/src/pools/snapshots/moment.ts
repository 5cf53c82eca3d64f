// The interface between the copies of volume files that snapshots are made of, and the hold of changes in server processes. Invariant: when
// `take` resolves, the copies hold the content of all their volumes at one moment (P1), whatever clients write meanwhile.

/** Copies one volume file chunk by chunk. Chunk i covers bytes [i*chunkBytes, (i+1)*chunkBytes), the last one the rest up to sizeBytes. */
export interface ChunkedCopy {
  readonly volumeId: string;
  readonly sizeBytes: number;
  /** A power of two, or at least `sizeBytes`: the whole file is then one chunk. */
  readonly chunkBytes: number;
  readonly chunks: number;
  /** Clones one chunk. Resolves when later writes to the volume no longer change the copy. Called at most once for each chunk. */
  clone(index: number): Promise<void>;
}

export interface Moments {
  /**
   * Copies all volumes at one moment (P1): holds their changes, clones those of one chunk meanwhile, and guards the chunks of the others: a
   * change to a chunk that is not yet cloned waits for its clone; the rest is cloned in the background. Resolves when every chunk of every
   * copy is cloned. Rejects, with all changes going on, if the moment was not possible (E_BUSY, E_SYSTEM); the copies are then worthless.
   */
  take(copies: readonly ChunkedCopy[]): Promise<void>;
}
