// One I/O of a simulated user, with what was known when it was submitted. sim-user.ts submits it, and judges its answer. Invariant: its
// answer reaches the user who submitted it.

import type { Status } from '@rsio/protocol/wire/status';
import { RECEIVED_ROOM_BYTES, type VolumeIo, type VolumeOp } from '@rsio/rsiod/volumes/frontend-volume';
import type { Volume } from '@rsio/rsiod/volumes/volume';
import type { ReadTicket } from '../judges/oracle.ts';

/** What buffers are filled with that nobody should read. */
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
  /** Of the hold that it was submitted under. */
  epoch = 0;
  /** Incarnations of the storage that had ended by then. */
  incarnations = 0;
  /** Of the changes treated as lost by then. */
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

  /** Overwrites its memory, and what it was lent, as a frontend may: nobody must need it any more. */
  spoil(): void {
    this.buffer.fill(SPOILED, 0, Math.min(this.buffer.length, this.bufferOffset + this.lengthBytes));
    this.received?.fill(SPOILED, this.receivedOffset - RECEIVED_ROOM_BYTES, this.receivedOffset + this.lengthBytes);
    this.received = null;
  }
}
