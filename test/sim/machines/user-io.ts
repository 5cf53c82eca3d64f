// One I/O of a simulated user, with what the oracle knew when the I/O was submitted. sim-user.ts submits the I/O and judges its answer.
// Invariant: the answer reaches the user that submitted the I/O.

import type { Status } from '@rsio/protocol/wire/status';
import { RECEIVED_ROOM_BYTES, type VolumeIo, type VolumeOp } from '@rsio/rsiod/volumes/frontend-volume';
import type { Volume } from '@rsio/rsiod/volumes/volume';
import type { ReadTicket } from '../judges/oracle.ts';

/** Fill byte of buffers that no code may read. */
export const SPOILED = 0x5b;
const NOTHING_COVERED = new Uint32Array(0);

export class UserIo implements VolumeIo {
  op: VolumeOp = 'read';
  positionBytes = 0;
  lengthBytes = 0;
  buffer: Buffer = Buffer.alloc(0);
  bufferOffset = 0;
  takesReceived = false;
  received: Buffer | null = null;
  receivedOffset = 0;
  fua = false;
  mustKeepAllocated = false;
  number = 0;
  ticket: ReadTicket = new Uint32Array(0);
  submittedMs = 0;
  isOut = false;
  volume: Volume | null = null;
  epoch = 0;
  /** Number of incarnations of the storage that had ended when the I/O was submitted. */
  incarnations = 0;
  /** Value of the oracle's `drops` when the I/O was submitted. */
  drops = 0;
  /** The changes that a flush covers. */
  covered: Uint32Array = NOTHING_COVERED;
  private readonly ended: (io: UserIo, status: Status) => void;

  constructor(ended: (io: UserIo, status: Status) => void) {
    this.ended = ended;
  }

  done(status: Status): void {
    this.ended(this, status);
  }

  /** Overwrites the buffers of the I/O and the data that was lent to it, as a frontend may after the answer. */
  spoil(): void {
    this.buffer.fill(SPOILED, 0, Math.min(this.buffer.length, this.bufferOffset + this.lengthBytes));
    this.received?.fill(SPOILED, this.receivedOffset - RECEIVED_ROOM_BYTES, this.receivedOffset + this.lengthBytes);
    this.received = null;
  }
}
