// Decides what an I/O command of a host means for its volume. Pure. Invariant: a command that this file admits stays within the limits that
// the namespace has announced; only the volume checks the range and the access rights.

import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { GATE_TRANSFER_MAX_BYTES } from '../limits.ts';
import { CODE, type Code, DNR, FUSE, IO } from './wire/constants.ts';
import type { NvmeCommand } from './nvme-command.ts';
import { reservationBytes } from './reservation-commands.ts';

/** Length of one range in the data of Dataset Management. */
const RANGE_BYTES = 16;

/** By the value of the field FUSE. */
const FUSED_OPCODES = [null, IO.COMPARE, IO.WRITE, null] as const;
const DEALLOCATE = 0x04;
const CDW12 = { FUA: 2 ** 30, DEALLOCATE: 2 ** 25 } as const;

/**
 * What a controller does with an admitted command. `ranges`: discards each range in the command's data. `reserve`: a reservation command.
 */
export type IoPlan = 'submit' | 'ranges' | 'nothing' | 'reserve';

/** Sets the fields of VolumeIo from the command. Returns a code with the reason if the command is refused. */
export function planIo(command: NvmeCommand, blockSizeBytes: number): IoPlan | Code {
  if (command.fuse !== FUSE.NO && command.opcode !== FUSED_OPCODES[command.fuse]) return CODE.INVALID_FIELD | DNR;
  command.fua = false;
  command.mustKeepAllocated = false;
  switch (command.opcode) {
    case IO.FLUSH:
      return planned(command, 'flush', 0, 0);
    case IO.DATASET_MANAGEMENT:
      return planRanges(command);
    case IO.WRITE:
    case IO.READ:
    case IO.COMPARE:
      return planTransfer(command, blockSizeBytes);
    case IO.WRITE_ZEROES:
      command.fua = (command.dword(12) & CDW12.FUA) !== 0;
      command.mustKeepAllocated = (command.dword(12) & CDW12.DEALLOCATE) === 0;
      return planRange(command, 'zero', blockSizeBytes);
    case IO.VERIFY:
      return blocksOf(command) * blockSizeBytes > GATE_TRANSFER_MAX_BYTES
        ? CODE.INVALID_FIELD | DNR
        : planRange(command, 'read', blockSizeBytes);
    case IO.RESERVATION_REGISTER:
    case IO.RESERVATION_ACQUIRE:
    case IO.RESERVATION_RELEASE:
    case IO.RESERVATION_REPORT:
      return command.dataBytes < reservationBytes(command.opcode) ? CODE.SGL_LENGTH | DNR : 'reserve';
    default:
      return CODE.INVALID_OPCODE | DNR;
  }
}

/** True for the commands that reservations count as changes: all but reads. */
export function isChange(opcode: number): boolean {
  return opcode !== IO.READ && opcode !== IO.COMPARE && opcode !== IO.VERIFY;
}

function planTransfer(command: NvmeCommand, blockSizeBytes: number): IoPlan | Code {
  const bytes = blocksOf(command) * blockSizeBytes;
  // ACWU: fused commands have one block.
  if (command.fuse !== FUSE.NO && blocksOf(command) > 1) return CODE.ATOMIC_UNIT_EXCEEDED | DNR;
  if (command.dataBytes !== bytes) return CODE.SGL_LENGTH | DNR;
  // Protection information is not announced.
  if ((command.dword(12) & 0x3c00_0000) !== 0) return CODE.INVALID_FIELD | DNR;
  command.fua = command.opcode === IO.WRITE && (command.dword(12) & CDW12.FUA) !== 0;
  return planRange(command, command.opcode === IO.WRITE ? 'write' : 'read', blockSizeBytes);
}

function planRange(command: NvmeCommand, op: NvmeCommand['op'], blockSizeBytes: number): IoPlan | Code {
  const first = firstBlock(command.dword(10), command.dword(11), blockSizeBytes);
  if (first === null) return CODE.LBA_OUT_OF_RANGE | DNR;
  return planned(command, op, first * blockSizeBytes, blocksOf(command) * blockSizeBytes);
}

function planned(command: NvmeCommand, op: NvmeCommand['op'], positionBytes: number, lengthBytes: number): IoPlan {
  command.op = op;
  command.positionBytes = positionBytes;
  command.lengthBytes = lengthBytes;
  return 'submit';
}

function planRanges(command: NvmeCommand): IoPlan | Code {
  const ranges = (command.dword(10) & 0xff) + 1;
  // Linux sends a whole page, however many ranges there are.
  if (command.dataBytes < ranges * RANGE_BYTES) return CODE.SGL_LENGTH | DNR;
  command.step = 0;
  // Other attributes are hints without an effect.
  return (command.dword(11) & DEALLOCATE) === 0 ? 'nothing' : 'ranges';
}

/**
 * Turns the command into a discard of range number `step` in its data. Returns false if it has no more ranges, and a code if the range is
 * wrong. Empty ranges are passed over.
 */
export function nextRange(command: NvmeCommand, blockSizeBytes: number): boolean | Code {
  const ranges = (command.dword(10) & 0xff) + 1;
  for (; command.step < ranges; command.step++) {
    const at = command.step * RANGE_BYTES;
    const blocks = command.buffer.readUInt32LE(at + 4);
    if (blocks === 0) continue;
    const first = firstBlock(command.buffer.readUInt32LE(at + 8), command.buffer.readUInt32LE(at + 12), blockSizeBytes);
    if (first === null) return CODE.LBA_OUT_OF_RANGE | DNR;
    command.step++;
    planned(command, 'discard', first * blockSizeBytes, blocks * blockSizeBytes);
    return true;
  }
  return false;
}

function blocksOf(command: NvmeCommand): number {
  return (command.dword(12) & 0xffff) + 1;
}

/** Returns the number of a block, or null if its position has no exact number of bytes. */
function firstBlock(low: number, high: number, blockSizeBytes: number): number | null {
  const block = high * 2 ** 32 + low;
  return Number.isSafeInteger((block + 2 ** 32) * blockSizeBytes) ? block : null;
}

/** Returns the NVMe code for the volume's status of a completed command. `hasPartner`: another gate may offer the volume to the host. */
export function codeOf(status: Status, isWrite: boolean, hasPartner: boolean): Code {
  switch (status) {
    case STATUS.OK:
      return CODE.OK;
    case STATUS.PAST_END:
      return CODE.LBA_OUT_OF_RANGE | DNR;
    case STATUS.MISALIGNED:
    case STATUS.BAD_REQUEST:
      return CODE.INVALID_FIELD | DNR;
    case STATUS.READ_ONLY:
      return CODE.WRITE_PROTECTED | DNR;
    case STATUS.NO_SPACE:
      return CODE.CAPACITY_EXCEEDED | DNR;
    case STATUS.UNSUPPORTED:
      return CODE.INVALID_OPCODE | DNR;
    case STATUS.IO_ERROR:
      return isWrite ? CODE.WRITE_FAULT : CODE.UNRECOVERED_READ;
    case STATUS.OUTCOME_UNKNOWN:
      return hasPartner ? CODE.ANA_INACCESSIBLE : CODE.COMMAND_INTERRUPTED;
    case STATUS.OUT_OF_MEMORY:
      return CODE.COMMAND_INTERRUPTED;
    default:
      // The volume is elsewhere, stopped or gone. After this code, hosts try another path, and do not count the failure.
      return CODE.ANA_INACCESSIBLE;
  }
}
