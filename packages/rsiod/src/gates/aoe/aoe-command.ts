// One ATA command that a volume is executing. A gate pools the objects. Invariant: the memory of a command belongs to its volume from
// `submit` until `done`, and the header of the request stays until the answer has been written.

import type { Status } from '@rsio/protocol/wire/status';
import type { VolumeIo, VolumeOp } from '../../volumes/frontend-volume.ts';
import { AOE_FRAME_MAX_BYTES } from '../limits.ts';
import type { AoeTarget } from './aoe-target.ts';
import { ATA_BYTES } from './wire.ts';

export class AoeCommand implements VolumeIo {
  op: VolumeOp = 'read';
  positionBytes = 0;
  lengthBytes = 0;
  readonly buffer = Buffer.allocUnsafeSlow(AOE_FRAME_MAX_BYTES - ATA_BYTES);
  readonly bufferOffset = 0;
  readonly takesReceived = true;
  received: Buffer | null = null;
  receivedOffset = 0;
  fua = false;
  readonly anyRange = true;
  readonly mustKeepAllocated = false;
  readonly header = Buffer.allocUnsafeSlow(ATA_BYTES);
  target: AoeTarget | null = null;
  private readonly ended: (command: AoeCommand, status: Status) => void;

  constructor(ended: (command: AoeCommand, status: Status) => void) {
    this.ended = ended;
  }

  done(status: Status): void {
    this.ended(this, status);
  }
}
