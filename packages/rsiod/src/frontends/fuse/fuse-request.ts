// One request of the kernel while it is under way: the VolumeIo that the volume sees, and the fields that its answer needs.
// Objects are re-used within their session.

import type { Timer } from '@rsio/common/lib/clock';
import type { Status } from '@rsio/protocol/wire/status';
import type { VolumeIo, VolumeOp } from '../../volumes/frontend-volume.ts';
import { DATA_OFFSET } from './fuse-buffers.ts';
import { FuseHeader } from './fuse-codec.ts';

const NO_BUFFER = Buffer.alloc(0);

export class FuseRequest implements VolumeIo {
  op: VolumeOp = 'read';
  positionBytes = 0;
  lengthBytes = 0;
  buffer: Buffer = NO_BUFFER;
  readonly bufferOffset = DATA_OFFSET;
  fua = false;
  mustKeepAllocated = false;

  readonly header = new FuseHeader();
  /** What the request seeks, starting at its position; null if it is not a seek. */
  seeks: 'data' | 'hole' | null = null;
  /** True if the kernel already has the answer although the volume is not done. */
  isAnswered = false;
  /** Timer for the early answer, set when the program that made the request is interrupted; null if it has not been interrupted. */
  interrupted: Timer | null = null;
  private readonly completed: (request: FuseRequest, status: Status) => void;

  constructor(completed: (request: FuseRequest, status: Status) => void) {
    this.completed = completed;
  }

  done(status: Status): void {
    this.completed(this, status);
  }

  /** True if the request changes nothing, so that it may be answered before the volume is done. */
  get isQuery(): boolean {
    return this.seeks !== null || this.op === 'read';
  }

  /** Resets the object and returns its data buffer, or null if it had none. */
  clear(): Buffer | null {
    const { buffer } = this;
    this.interrupted?.cancel();
    this.interrupted = null;
    this.buffer = NO_BUFFER;
    this.isAnswered = false;
    this.seeks = null;
    this.fua = false;
    this.mustKeepAllocated = false;
    return buffer === NO_BUFFER ? null : buffer;
  }
}
