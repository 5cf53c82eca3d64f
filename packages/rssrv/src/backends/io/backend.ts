// The narrow interface of every backend and every wrapper around one. Callers have already validated range, alignment and rights, so a
// backend only executes. Reads and writes come in two forms: `try...` runs at once on this thread if the storage is fast (cached);
// otherwise the caller uses `read` or `write`, which run in the thread pool.

import type { EXTENT } from '@rsio/protocol/wire/messages';
import type { Status } from '@rsio/protocol/wire/status';
import type { FileEnd } from './file-end.ts';

/** Result of `tryRead` and `tryWrite` if nothing was done. The caller then uses `read` or `write`. */
export const WOULD_WAIT = -1;

export type IoDone = (status: Status) => void;
/**
 * Extents are pairs (sectors, EXTENT state) that begin at the requested sector and have no gaps. With status OK there is at least one pair.
 */
export type ExtentsDone = (status: Status, extents: number[]) => void;
export type ExtentState = (typeof EXTENT)[keyof typeof EXTENT];

export interface BackendCapabilities {
  readonly type: 'file' | 'block' | 'memory' | 'null';
  readonly readonly: boolean;
  readonly canDiscard: boolean;
  /** True if zeroing is cheaper than writing zeros. */
  readonly canZeroFast: boolean;
  readonly canExtents: boolean;
}

export interface Backend {
  /** Size of the storage when it was opened. If the storage grows later, the new part can be used, too. */
  readonly sizeBytes: number;
  readonly capabilities: BackendCapabilities;
  /**
   * Watches the end of the storage; undefined if the end cannot change. Once the storage is found truncated, every operation returns
   * VOLUME_UNAVAILABLE.
   */
  readonly end?: FileEnd | undefined;
  /** Reads into `target` at once. On WOULD_WAIT, `target` is unchanged. Positions and lengths are in bytes. */
  tryRead(target: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT;
  /** Writes at once, never with FUA. On WOULD_WAIT, nothing was written. */
  tryWrite(source: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT;
  /** Reads in the thread pool. `target` belongs to the backend until `done`, which is never called before `read` returns. */
  read(target: Buffer, offset: number, lengthBytes: number, positionBytes: number, done: IoDone): void;
  write(source: Buffer, offset: number, lengthBytes: number, positionBytes: number, fua: boolean, done: IoDone): void;
  /** Makes all writes that ended before the call durable. They are durable when `done` gets OK. */
  flush(done: IoDone): void;
  /** Discards the range, in steps of bounded time. Its content becomes undefined or zero. */
  discard(positionBytes: number, lengthBytes: number, done: IoDone): void;
  /** Zeroes the range, in steps of bounded time. `keepAllocated`: if true, no hole is punched. */
  zero(positionBytes: number, lengthBytes: number, keepAllocated: boolean, fua: boolean, done: IoDone): void;
  extents(positionBytes: number, lengthBytes: number, done: ExtentsDone): void;
  /** Closes the backend. Resolves when none of its operations is running. */
  close(): Promise<void>;
}
