// The one narrow interface every backend and wrapper has. Validation (range, alignment, rights) happened before: a backend only does.
// Two ways for reads and writes: `try...` at once on this thread when the storage is fast (cached), else the caller uses the pool way.

import type { EXTENT } from '@rsio/protocol/wire/messages';
import type { Status } from '@rsio/protocol/wire/status';
import type { FileEnd } from './file-end.ts';

/** Answer of `tryRead` and `tryWrite`: nothing was done, use `read` or `write`. */
export const WOULD_WAIT = -1;

export type IoDone = (status: Status) => void;
/** Extents as pairs (sectors, EXTENT state), from the asked sector on, without gaps, at least one pair when OK. */
export type ExtentsDone = (status: Status, extents: number[]) => void;
export type ExtentState = (typeof EXTENT)[keyof typeof EXTENT];

export interface BackendCapabilities {
  readonly type: 'file' | 'block' | 'memory' | 'null';
  readonly readonly: boolean;
  readonly canDiscard: boolean;
  /** Zeroing is cheaper than writing zeros. */
  readonly canZeroFast: boolean;
  readonly canExtents: boolean;
}

export interface Backend {
  /** When it was opened; the storage may grow, and takes what lies in the new size then. */
  readonly sizeBytes: number;
  readonly capabilities: BackendCapabilities;
  /**
   * Where the storage ends; none: that cannot change. Storage that was found to end before the volume answers everything
   * VOLUME_UNAVAILABLE from then on.
   */
  readonly end?: FileEnd | undefined;
  /** Reads into `target` at once; WOULD_WAIT leaves `target` untouched. Positions and lengths in bytes. */
  tryRead(target: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT;
  /** Writes at once (never FUA); WOULD_WAIT: nothing was written. */
  tryWrite(source: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT;
  /** Off the loop; `target` belongs to the backend until `done`. `done` is never called before the call returns. */
  read(target: Buffer, offset: number, lengthBytes: number, positionBytes: number, done: IoDone): void;
  write(source: Buffer, offset: number, lengthBytes: number, positionBytes: number, fua: boolean, done: IoDone): void;
  /** Everything written before the call is durable when `done` says OK. */
  flush(done: IoDone): void;
  /** The content of the range becomes undefined or zero; in steps of bounded time. */
  discard(positionBytes: number, lengthBytes: number, done: IoDone): void;
  /** The range reads as zeros afterwards; `keepAllocated`: no hole is made; in steps of bounded time. */
  zero(positionBytes: number, lengthBytes: number, keepAllocated: boolean, fua: boolean, done: IoDone): void;
  extents(positionBytes: number, lengthBytes: number, done: ExtentsDone): void;
  /** Resolves when nothing of this backend runs any more. */
  close(): Promise<void>;
}
