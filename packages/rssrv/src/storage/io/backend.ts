// The interface that every backend and every backend wrapper implements. The caller validates range, alignment and rights, so a backend
// only executes requests. `tryRead` and `tryWrite` run on the calling thread, and return WOULD_WAIT if they might have to wait for the
// storage. After WOULD_WAIT, the caller must use `read` or `write`, which run in the thread pool.

import type { EXTENT } from '@rsio/protocol/wire/messages';
import type { Status } from '@rsio/protocol/wire/status';
import type { StorageEnd } from './file-end.ts';

/** After WOULD_WAIT, the whole request must still be executed. Part of the range may already have been read or written. */
export const WOULD_WAIT = -1;

export type IoDone = (status: Status) => void;
/**
 * `extents`: a list of pairs (number of sectors, EXTENT state). The first pair begins at the requested position, and the pairs leave no
 * gaps. If the status is OK, the list has at least one pair.
 */
export type ExtentsDone = (status: Status, extents: number[]) => void;
export type ExtentState = (typeof EXTENT)[keyof typeof EXTENT];

export interface BackendCapabilities {
  readonly type: 'file' | 'block' | 'memory' | 'null';
  readonly readonly: boolean;
  readonly canDiscard: boolean;
  /** True if zeroing a range is cheaper than writing zeros to it. */
  readonly canZeroFast: boolean;
  readonly canExtents: boolean;
}

/** The intent map of a replica: for each region of the volume, whether it may differ from the other replicas of its mirror. */
export interface IntentView {
  /** Number of regions of the volume. Region i begins at i * MIRROR_REGION_BYTES. */
  readonly regions: number;
  /** Must be called when the volume has grown. The bits of added regions are set. */
  grow(sizeBytes: number): void;
  /**
   * Returns the bits from region `first` on. `first` must be a multiple of 8. Bit i of byte j, the lowest bit first, belongs to region
   * first + 8j + i. Bits beyond the last region are 0. Returns at most `maxBytes` bytes, or none if `first` is beyond the last region.
   */
  read(first: number, maxBytes: number): Buffer;
  /**
   * Clears the bits of regions. `ranges`: a flat list of pairs, each a first region and a number of regions. A region that is being
   * changed keeps its bit.
   */
  clear(ranges: readonly number[]): void;
}

export interface Backend {
  /** Size of the storage when it was opened. If the storage grows later, the backend can also access the added part. */
  readonly sizeBytes: number;
  readonly capabilities: BackendCapabilities;
  /**
   * Detects truncation of the storage; undefined if the storage cannot be truncated. Once the storage has been found truncated, every
   * operation returns VOLUME_UNAVAILABLE.
   */
  readonly end?: StorageEnd | undefined;
  /** The intent map of the volume; undefined unless the volume is a replica of a mirror. */
  readonly intents?: IntentView | undefined;
  /** Reads into `target` synchronously. Positions and lengths are in bytes. */
  tryRead(target: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT;
  /** Writes synchronously. `tryWrite` must not be used for FUA writes. */
  tryWrite(source: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT;
  /** Reads in the thread pool. `target` belongs to the backend until `done` is called. `done` is never called before `read` returns. */
  read(target: Buffer, offset: number, lengthBytes: number, positionBytes: number, done: IoDone): void;
  write(source: Buffer, offset: number, lengthBytes: number, positionBytes: number, fua: boolean, done: IoDone): void;
  /** Syncs all writes that ended before this call. If `done` gets OK, all writes that ended before this call are durable. */
  flush(done: IoDone): void;
  /** Discards the range in short steps. A discarded range contains undefined data or zeros. */
  discard(positionBytes: number, lengthBytes: number, done: IoDone): void;
  /** Zeroes the range. If `keepAllocated` is true, the range stays allocated, because no hole is punched. */
  zero(positionBytes: number, lengthBytes: number, keepAllocated: boolean, fua: boolean, done: IoDone): void;
  extents(positionBytes: number, lengthBytes: number, done: ExtentsDone): void;
  /** Closes the backend. Resolves once none of the backend's operations is running. The promise resolves even if the close fails. */
  close(): Promise<void>;
}

/** The backend of one file of a volume of several files. This backend can also transfer several pieces of memory in one call. */
export interface PartBackend extends Backend {
  readonly end: StorageEnd;
  /** Reads into the pieces of memory, one after the other. `lengthBytes`: the sum of the lengths of the pieces. */
  tryReadPieces(target: readonly Buffer[], lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT;
  tryWritePieces(source: readonly Buffer[], lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT;
  readPieces(target: readonly Buffer[], lengthBytes: number, positionBytes: number, done: IoDone): void;
  writePieces(source: readonly Buffer[], lengthBytes: number, positionBytes: number, fua: boolean, done: IoDone): void;
}
