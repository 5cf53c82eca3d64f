// The interface between the copies of volume files, from which snapshots are made, and the code that holds changes in workers. Invariant:
// when `take` resolves, the copies have the content of all volumes at one moment (P1), even if clients wrote during `take`.

/** Copies one volume file chunk by chunk. Chunk i covers bytes [i*chunkBytes, (i+1)*chunkBytes); the last chunk ends at sizeBytes. */
export interface ChunkedCopy {
  readonly volumeId: string;
  readonly sizeBytes: number;
  /** Size of a chunk. If `chunkBytes` is at least `sizeBytes`, the whole file is one chunk; otherwise, `chunkBytes` is a power of two. */
  readonly chunkBytes: number;
  readonly chunks: number;
  /** Clones one chunk. Resolves when later writes to the volume no longer change the copy. Called at most once for each chunk. */
  clone(index: number): Promise<void>;
}

export interface Moments {
  /**
   * Copies all volumes at one moment (P1). Holds all changes while it clones the files that have only one chunk. Then clones the
   * chunks of the other files in the background; a change to a chunk that is not yet cloned waits until the chunk is cloned. Resolves
   * when every chunk of every copy is cloned. If the moment fails, lets all changes continue, and rejects with E_BUSY or E_SYSTEM; the
   * copies must then not be used.
   */
  take(copies: readonly ChunkedCopy[]): Promise<void>;
}
