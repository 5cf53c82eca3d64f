// One request of an NBD client while it is being executed. The volume sees the object as a VolumeIo. A connection re-uses its request
// objects, and each object creates its callbacks only once.

import type { Status } from '@rsio/protocol/wire/status';
import type { Change, Extent, VolumeIo, VolumeOp } from '../../volumes/frontend-volume.ts';
import type { DataBuffer } from '../streams/data-buffers.ts';
import { type NbdRequestHeader, offsetBytes } from './wire/nbd-codec.ts';
import { COMMAND, COMMAND_FLAG } from './wire/nbd-constants.ts';
import type { LargeReply } from '../streams/reply-output.ts';

const NO_BUFFER = Buffer.alloc(0);

export interface NbdRequestEvents {
  /** Called when a request that `Submissions` has collected must be executed. Never throws. */
  begin(request: NbdRequest): void;
  completed(request: NbdRequest, status: Status): void;
  extentsKnown(request: NbdRequest, status: Status, extents: readonly Extent[]): void;
  changesKnown(request: NbdRequest, status: Status, changes: readonly Change[]): void;
  largeLeft(request: NbdRequest, failed: boolean): void;
}

export class NbdRequest implements VolumeIo, LargeReply {
  // The fields of VolumeIo, which the volume sees.
  op: VolumeOp = 'read';
  positionBytes = 0;
  lengthBytes = 0;
  buffer: Buffer = NO_BUFFER;
  readonly bufferOffset = 0;
  readonly takesReceived = true;
  received: Buffer | null = null;
  receivedOffset = 0;
  fua = false;
  mustKeepAllocated = false;
  readonly anyRange: boolean;

  // The fields of the request that the client sent.
  type: number = COMMAND.READ;
  cookieHigh = 0;
  cookieLow = 0;
  offsetHigh = 0;
  offsetLow = 0;
  isFirstExtentOnly = false;
  /** For BLOCK_STATUS: number of bytes from the start of the volume's range to the start of the client's range. */
  headBytes = 0;
  /** For BLOCK_STATUS: one list of descriptors for each context about which the volume has answered so far. */
  readonly statuses: (readonly number[])[] = [];
  dataBytes = 0;

  /** The pooled buffer that contains `buffer`; null if the request has no data. */
  held: DataBuffer | null = null;
  /** The bytes of a large reply: header and data. */
  reply: Buffer = NO_BUFFER;
  readonly sent: (failed?: Error | null) => void;
  readonly extentsDone: (status: Status, extents: readonly Extent[]) => void;
  readonly changesDone: (status: Status, changes: readonly Change[]) => void;
  private readonly events: NbdRequestEvents;

  /** `anyRange` is true if the client may use ranges that are not whole blocks. */
  constructor(owner: NbdRequestEvents, anyRange: boolean) {
    this.events = owner;
    this.anyRange = anyRange;
    this.sent = (failed) => owner.largeLeft(this, failed !== undefined && failed !== null);
    this.extentsDone = (status, extents) => owner.extentsKnown(this, status, extents);
    this.changesDone = (status, changes) => owner.changesKnown(this, status, changes);
  }

  begin(): void {
    this.events.begin(this);
  }

  done(status: Status): void {
    this.events.completed(this, status);
  }

  /** True if the request stores data; an access past the end then fails with ENOSPC. */
  get needsRoom(): boolean {
    return this.type === COMMAND.WRITE || this.type === COMMAND.WRITE_ZEROES;
  }

  take(header: NbdRequestHeader): void {
    this.type = header.type;
    this.op = opOf(header.type);
    this.cookieHigh = header.cookieHigh;
    this.cookieLow = header.cookieLow;
    this.offsetHigh = header.offsetHigh;
    this.offsetLow = header.offsetLow;
    this.positionBytes = offsetBytes(header.offsetHigh, header.offsetLow);
    this.lengthBytes = header.lengthBytes;
    this.fua = (header.flags & COMMAND_FLAG.FUA) !== 0;
    this.mustKeepAllocated = (header.flags & COMMAND_FLAG.NO_HOLE) !== 0;
    this.isFirstExtentOnly = (header.flags & COMMAND_FLAG.REQ_ONE) !== 0;
    this.dataBytes = 0;
    this.headBytes = 0;
    if (this.statuses.length > 0) this.statuses.length = 0;
  }

  hold(held: DataBuffer): void {
    this.held = held;
    this.buffer = held.data;
  }

  /** Releases the data buffer and returns it, or null if the request has no buffer. */
  releaseBuffer(): DataBuffer | null {
    const { held } = this;
    this.held = null;
    this.buffer = NO_BUFFER;
    this.received = null;
    this.reply = NO_BUFFER;
    return held;
  }
}

/**
 * Returns the volume's operation for a command. For BLOCK_STATUS, the result is not used, because BLOCK_STATUS calls the volume's method
 * `extents`.
 */
function opOf(type: number): VolumeOp {
  switch (type) {
    case COMMAND.WRITE:
      return 'write';
    case COMMAND.FLUSH:
      return 'flush';
    case COMMAND.TRIM:
      return 'discard';
    case COMMAND.WRITE_ZEROES:
      return 'zero';
    default:
      return 'read';
  }
}
