// One request from the kernel while it is being executed. The volume sees the object as a VolumeIo. The object also has the fields that are
// needed to answer the kernel. A session re-uses its request objects.

import { assert } from '@rsio/base/lib/assert';
import type { Timer } from '@rsio/base/lib/clock';
import type { Status } from '@rsio/protocol/wire/status';
import { RECEIVED_ROOM_BYTES, type VolumeIo, type VolumeOp } from '../../volumes/frontend-volume.ts';
import { DATA_OFFSET } from './fuse-buffers.ts';
import { FuseHeader } from './fuse-codec.ts';
import { REPLY_HEADER_BYTES } from './fuse-constants.ts';

const NO_BUFFER = Buffer.alloc(0);

assert(REPLY_HEADER_BYTES <= RECEIVED_ROOM_BYTES, 'The header of a reply must fit in front of data that was received');

export class FuseRequest implements VolumeIo {
  op: VolumeOp = 'read';
  positionBytes = 0;
  lengthBytes = 0;
  buffer: Buffer = NO_BUFFER;
  readonly bufferOffset = DATA_OFFSET;
  readonly takesReceived = true;
  received: Buffer | null = null;
  receivedOffset = 0;
  fua = false;
  mustKeepAllocated = false;

  readonly header = new FuseHeader();
  /** What an LSEEK searches for; null for all other requests. */
  seeks: 'data' | 'hole' | null = null;
  /** True once the kernel has the answer, possibly before the volume has completed the request. */
  isAnswered = false;
  /** Timer that answers the request early; null unless the requesting program has been interrupted. */
  interrupted: Timer | null = null;
  private readonly completed: (request: FuseRequest, status: Status) => void;

  constructor(completed: (request: FuseRequest, status: Status) => void) {
    this.completed = completed;
  }

  done(status: Status): void {
    this.completed(this, status);
  }

  /** True if the request changes nothing, and may therefore be answered before the volume has completed the request. */
  get isQuery(): boolean {
    return this.seeks !== null || this.op === 'read';
  }

  /** Resets the request and returns its data buffer, or null if there is none. */
  clear(): Buffer | null {
    const { buffer } = this;
    this.interrupted?.cancel();
    this.interrupted = null;
    this.buffer = NO_BUFFER;
    this.received = null;
    this.isAnswered = false;
    this.seeks = null;
    this.fua = false;
    this.mustKeepAllocated = false;
    return buffer === NO_BUFFER ? null : buffer;
  }
}
