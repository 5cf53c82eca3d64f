// The interface between copies of volume files, from which snapshots are made, and the hold of changes in server processes. Invariant: when
// `take` resolves, the copies have the content of all volumes at one moment (P1), even if clients wrote during `take`.

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
   * Copies all volumes at one moment (P1). Holds all changes while it clones the files of one chunk. Then clones the chunks of the other
   * files in the background; a change to a chunk that is not yet cloned waits for its clone. Resolves when every chunk of every copy is
   * cloned. If the moment was not possible, lets all changes continue and rejects (E_BUSY, E_SYSTEM); the copies are then useless.
   */
  take(copies: readonly ChunkedCopy[]): Promise<void>;
}
