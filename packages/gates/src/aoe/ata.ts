// Decides what an ATA command in a frame means for its volume. Pure. Invariant: a command that this file admits fits into one frame in both
// directions, and a write has all its data; the volume alone checks the range and the access rights.

import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { VolumeOp } from '@rsio/rsiod/volumes/frontend-volume';
import { ATA, ATA_BYTES, ATA_ERROR, ATA_FLAG, type AtaError, SECTOR_BYTES } from './wire.ts';

/**
 * What a gate does with a command. `argument`: the fields of the frame contradict each other. `abort`: the device does not have the
 * command. `range`: no volume is so large.
 */
export type AtaPlan = 'submit' | 'identify' | 'argument' | 'abort' | 'range';

export interface AtaRequest {
  op: VolumeOp;
  positionBytes: number;
  lengthBytes: number;
}

/** Sets the fields of the request from the frame. `sectorsMax`: sectors that fit into one frame. */
export function planAta(request: AtaRequest, bytes: Buffer, start: number, end: number, sectorsMax: number): AtaPlan {
  const flags = bytes.readUInt8(start + 24);
  const sectors = bytes.readUInt8(start + 26);
  const command = bytes.readUInt8(start + 27);
  const isExtended = (flags & ATA_FLAG.EXTENDED) !== 0;
  request.op = 'read';
  request.positionBytes = 0;
  request.lengthBytes = SECTOR_BYTES;
  switch (command) {
    case ATA.IDENTIFY:
      return sectorsMax >= 1 ? 'identify' : 'argument';
    case ATA.FLUSH:
    case ATA.FLUSH_EXT:
      request.op = 'flush';
      request.lengthBytes = 0;
      return 'submit';
    case ATA.READ:
    case ATA.READ_EXT:
    case ATA.WRITE:
    case ATA.WRITE_EXT:
      break;
    default:
      return 'abort';
  }
  const isWrite = command === ATA.WRITE || command === ATA.WRITE_EXT;
  // A count of 0 means 256 or 65,536 sectors, which do not fit into a frame.
  if (isExtended !== (command === ATA.READ_EXT || command === ATA.WRITE_EXT) || sectors === 0 || sectors > sectorsMax) return 'argument';
  request.op = isWrite ? 'write' : 'read';
  request.positionBytes = lbaAt(bytes, start + 28, isExtended) * SECTOR_BYTES;
  request.lengthBytes = sectors * SECTOR_BYTES;
  // Short frames are padded to 60 bytes, so that a frame may be longer than its contents.
  if (isWrite && ((flags & ATA_FLAG.WRITE) === 0 || end - start < ATA_BYTES + request.lengthBytes)) return 'argument';
  return Number.isSafeInteger(request.positionBytes + request.lengthBytes) ? 'submit' : 'range';
}

function lbaAt(bytes: Buffer, at: number, isExtended: boolean): number {
  return isExtended ? bytes.readUIntLE(at, 6) : bytes.readUIntLE(at, 3) + ((bytes[at + 3] ?? 0) & 0x0f) * 2 ** 24;
}

/**
 * Returns the error of the ATA device for the status with which a volume has completed a command; null if the host gets no answer, because
 * the outcome is not certain. The host then sends the command again.
 */
export function ataErrorOf(status: Status, op: VolumeOp): AtaError | null {
  switch (status) {
    case STATUS.OK:
      return ATA_ERROR.NONE;
    case STATUS.PAST_END:
      return ATA_ERROR.NOT_FOUND;
    case STATUS.IO_ERROR:
      return op === 'read' ? ATA_ERROR.UNCORRECTABLE : ATA_ERROR.ABORTED;
    case STATUS.READ_ONLY:
    case STATUS.NO_SPACE:
    case STATUS.UNSUPPORTED:
    case STATUS.MISALIGNED:
    case STATUS.BAD_REQUEST:
      return ATA_ERROR.ABORTED;
    default:
      return null;
  }
}
