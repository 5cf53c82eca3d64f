// The interface through which frontends use an attached volume. The module frontends/frontend.ts has the interface through which the daemon
// uses a frontend. Invariant: the volume alone checks ranges, alignment and access rights, and answers invalid I/O with a status.

import { HEADER_BYTES } from '@rsio/protocol/wire/limits';
import type { Status } from '@rsio/protocol/wire/status';

/** Number of bytes in front of received data that the frontend may overwrite with the header of a reply; see `received`. */
export const RECEIVED_ROOM_BYTES = HEADER_BYTES;

export type VolumeOp = 'read' | 'write' | 'flush' | 'discard' | 'zero';

/**
 * One I/O request from a frontend. The frontend owns and re-uses the object, but from `submit` until `done`, the object and the bytes of
 * `buffer` belong to the volume. The volume calls `done` exactly once, never from within `submit`.
 */
export interface VolumeIo {
  op: VolumeOp;
  positionBytes: number;
  lengthBytes: number;
  /** A read fills this buffer, and a write sends its content; other operations do not use the buffer. */
  buffer: Buffer;
  bufferOffset: number;
  /**
   * True if the frontend can use the data of a read in the path's receive buffer (`received`). The volume lends the receive buffer only if
   * the data arrived in one piece.
   */
  readonly takesReceived?: boolean;
  /**
   * Valid only during `done` of a read with `takesReceived`: the receive buffer, with the data at `receivedOffset`; null if the data is in
   * `buffer`. The frontend may overwrite the RECEIVED_ROOM_BYTES in front of the data. After `done`, the path re-uses the receive buffer.
   */
  received?: Buffer | null;
  receivedOffset?: number;
  fua: boolean;
  /** True if the range may begin and end at any byte; otherwise, the range must consist of whole blocks. */
  readonly anyRange?: boolean;
  /**
   * For a write of exactly one block: the block is written only if it has this content; otherwise, nothing is written, `differs` is set, and
   * the status is OK. No other change of this client to the block is executed between the comparison and the write. Null or undefined for
   * other requests.
   */
  readonly expected?: Buffer | null;
  differs?: boolean;
  /** True if the operation `zero` must not make a hole. */
  mustKeepAllocated: boolean;
  done(status: Status): void;
}

export interface Extent {
  readonly lengthBytes: number;
  readonly isHole: boolean;
}

/** A part of a snapshot's range. `isChanged` tells whether the part has changed since an older snapshot. */
export interface Change {
  readonly lengthBytes: number;
  readonly isChanged: boolean;
}

/** A snapshot of the same volume that is older than the attached snapshot. */
export interface OlderSnapshot {
  readonly name: string;
  readonly id: string;
}

/**
 * `orders`: only orders have the volume (attachments/owners.ts). `programs`: programs of this machine, through devices and NBD. `gates`: hosts
 * of the gates of this machine. Programs and hosts exclude each other, because neither knows what the other one writes.
 */
export type Audience = 'orders' | 'programs' | 'gates';

/** `namespace`, `universe` and `name` together identify a volume; `id` identifies its content. */
export interface VolumeIdentity {
  /** `namespace` is the client's name for the namespace; `name` is the server's name for the volume. */
  readonly namespace: string;
  readonly name: string;
  readonly universe: number;
  readonly id: string;
}

export interface FrontendVolume extends VolumeIdentity {
  /**
   * The incarnation of the server's storage, which has all acknowledged writes. If the incarnation changes, the storage may have lost
   * unsynced writes, and the client has sent these writes again.
   */
  readonly incarnation: string;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly readonly: boolean;
  /** True if several clients may have the volume at the same time. */
  readonly shared: boolean;
  readonly canDiscard: boolean;
  /** Who may use the volume here; undefined: programs and gates, because nobody can write to it. */
  shownTo?: Audience | undefined;
  /** True while no I/O can be sent, because the volume has no path. */
  readonly isHalted: boolean;
  submit(io: VolumeIo): void;
  /**
   * Calls `done` with the extents that begin at `positionBytes`. On success, the extents cover at least one byte, but possibly less than
   * `lengthBytes`.
   */
  extents(positionBytes: number, lengthBytes: number, done: (status: Status, extents: readonly Extent[]) => void): void;
  /**
   * If a snapshot is attached: the older snapshots of the same volume, youngest first. The list never grows. Undefined or empty if no
   * snapshot is attached.
   */
  readonly olderSnapshots?: readonly OlderSnapshot[];
  /**
   * Like `extents`, but calls `done` with the parts of the range and whether each has changed since the older snapshot with the id `since`.
   */
  changes?(since: string, positionBytes: number, lengthBytes: number, done: (status: Status, changes: readonly Change[]) => void): void;
  /**
   * The gate record of the volume, at its server (docs/PROTOCOL.md D2). Errors: see RecordCalls. Undefined if the volume cannot have one.
   */
  readonly record?: { read(): Promise<Buffer | null>; write(record: Buffer): Promise<void> };
}
