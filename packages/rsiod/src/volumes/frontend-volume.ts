// What a frontend needs of an attached volume. What the daemon needs of a frontend is in frontends/frontend.ts.
// Invariant: the volume alone checks range, alignment and rights, and answers with a status; a frontend does not check them again.

import type { Status } from '@rsio/protocol/wire/status';

export type VolumeOp = 'read' | 'write' | 'flush' | 'discard' | 'zero';

/**
 * One request of a frontend. The frontend owns and re-uses the object. From `submit` until `done` the object and the bytes of `buffer`
 * belong to the volume. `done` is called exactly once, never from within `submit`.
 */
export interface VolumeIo {
  op: VolumeOp;
  positionBytes: number;
  lengthBytes: number;
  /** read: filled; write: sent. Unused otherwise. */
  buffer: Buffer;
  bufferOffset: number;
  fua: boolean;
  /** The range may be any bytes: the volume reads, changes and writes the blocks around them. Otherwise it must be whole blocks. */
  readonly anyRange?: boolean;
  /** zero: the range stays allocated, no hole is made. */
  mustKeepAllocated: boolean;
  done(status: Status): void;
}

export interface Extent {
  readonly lengthBytes: number;
  readonly isHole: boolean;
}

/** Names a volume, and by `id` its content. */
export interface VolumeIdentity {
  /** Namespace and volume name as the configuration and the server call them. */
  readonly namespace: string;
  readonly name: string;
  readonly universe: number;
  readonly id: string;
}

/** An attached volume as frontends see it. */
export interface FrontendVolume extends VolumeIdentity {
  /** The current incarnation of the server's storage: another one may have lost unsynced writes. */
  readonly incarnation: string;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly readonly: boolean;
  readonly canDiscard: boolean;
  submit(io: VolumeIo): void;
  /** Allocation from `positionBytes` on; may cover less than `lengthBytes`, but never nothing when the status is OK. */
  extents(positionBytes: number, lengthBytes: number, done: (status: Status, extents: readonly Extent[]) => void): void;
}
