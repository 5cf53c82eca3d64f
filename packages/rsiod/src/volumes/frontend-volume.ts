// What a frontend needs from an attached volume. What the daemon needs from a frontend is in frontends/frontend.ts. Invariant: the volume
// alone checks range, alignment and rights, and answers with a status; a frontend does not check them again.

import type { Status } from '@rsio/protocol/wire/status';

export type VolumeOp = 'read' | 'write' | 'flush' | 'discard' | 'zero';

/**
 * One request of a frontend. The frontend owns and re-uses the object. From `submit` until `done` the object and the bytes of `buffer`
 * belong to the volume. The volume calls `done` exactly once, never from within `submit`.
 */
export interface VolumeIo {
  op: VolumeOp;
  positionBytes: number;
  lengthBytes: number;
  /** For a read, the volume fills the buffer; for a write, it sends the buffer. Other operations do not use it. */
  buffer: Buffer;
  bufferOffset: number;
  fua: boolean;
  /**
   * True if the range may begin and end at any byte: the volume then reads, changes and writes the blocks around it. Otherwise the range
   * must be whole blocks.
   */
  readonly anyRange?: boolean;
  /** True if a `zero` must leave the range allocated, so that no hole is made. */
  mustKeepAllocated: boolean;
  done(status: Status): void;
}

export interface Extent {
  readonly lengthBytes: number;
  readonly isHole: boolean;
}

/** Identifies a volume by its name, and the content of the volume by `id`. */
export interface VolumeIdentity {
  /** Name of the namespace in the client's configuration, and name of the volume on the server. */
  readonly namespace: string;
  readonly name: string;
  readonly universe: number;
  readonly id: string;
}

/** An attached volume as the frontends see it. */
export interface FrontendVolume extends VolumeIdentity {
  /** The current incarnation of the server's storage. When it changes, unsynced writes may be lost. */
  readonly incarnation: string;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly readonly: boolean;
  readonly canDiscard: boolean;
  submit(io: VolumeIo): void;
  /**
   * Passes the extents that begin at `positionBytes` to `done`. They may cover less than `lengthBytes`, but cover at least one byte if the
   * status is OK.
   */
  extents(positionBytes: number, lengthBytes: number, done: (status: Status, extents: readonly Extent[]) => void): void;
}
