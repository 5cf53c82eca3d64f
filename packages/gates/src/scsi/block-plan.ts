// Plans a block command before its data arrives: its range, its data, its memory. Pure. Source: SBC-3, 5. Invariant: a command that is
// admitted lies within the unit, and within the limits that the Block Limits page announces.

import { SCSI_PIECE_BYTES, SCSI_TRANSFER_MAX_BYTES, SCSI_UNMAP_RANGES, SCSI_WRITE_SAME_BLOCKS } from '../limits.ts';
import { GOOD, OP, type Outcome, SENSE } from './constants.ts';
import type { LogicalUnit } from './logical-unit.ts';
import type { ScsiTask } from './scsi-task.ts';

/** Flags of byte 1, for commands of 10 bytes and more. */
const FLAG = { PROTECT: 0xe0, FUA: 0x08, CHECK: 0x06, UNMAP: 0x08, ANCHOR: 0x10, NO_DATA: 0x01, EJECT: 0x02 } as const;
const UNMAP_ANCHOR = 0x01;
const UNMAP_HEADER_BYTES = 8;
const UNMAP_RANGE_BYTES = 16;
const CHECK = { NOTHING: 0, DATA: 1, BLOCK: 3 } as const;

/** Sets the range of the task, in bytes. `blocks` is the number of blocks. */
function setRange(task: ScsiTask, unit: LogicalUnit, first: number, blocks: number): Outcome {
  if (first > unit.blocks || blocks > unit.blocks - first) return SENSE.OUT_OF_RANGE;
  task.firstBytes = first * unit.blockSizeBytes;
  task.rangeBytes = blocks * unit.blockSizeBytes;
  return GOOD;
}

/** Returns the first block that a command block names; exact up to the largest possible size of a volume. */
function firstOf(cdb: Buffer): number {
  switch (cdb[0]! >>> 5) {
    case 0:
      return cdb.readUIntBE(1, 3) & 0x1f_ffff;
    case 4:
      return cdb.readUInt32BE(2) * 2 ** 32 + cdb.readUInt32BE(6);
    default:
      return cdb.readUInt32BE(2);
  }
}

function blocksOf(cdb: Buffer): number {
  switch (cdb[0]! >>> 5) {
    case 0:
      return cdb[4] === 0 ? 256 : cdb[4]!;
    case 4:
      return cdb[0] === OP.COMPARE_AND_WRITE ? cdb[13]! : cdb.readUInt32BE(10);
    case 5:
      return cdb.readUInt32BE(6);
    default:
      return cdb.readUInt16BE(7);
  }
}

/** Makes the task take exactly `bytes` of data-out; the host may send more. */
function wantOut(task: ScsiTask, bytes: number, memoryBytes: number): Outcome {
  task.presentedBytes = Math.max(bytes, task.presentedBytes);
  if (task.announcedOutBytes < bytes) return SENSE.SHORT_DATA;
  task.outBytes = bytes;
  task.memoryBytes = memoryBytes;
  return GOOD;
}

/** Returns why a command for blocks is refused; GOOD if it may be executed when its data is there. */
export function planBlocks(task: ScsiTask, unit: LogicalUnit): Outcome {
  const { cdb, command } = task;
  const isShort = cdb[0]! >>> 5 === 0;
  const kind = command?.kind;
  // EJECT moves the tray of a medium, which no unit has.
  if (kind === 'start stop') return (cdb[4]! & FLAG.EJECT) === 0 ? GOOD : refuse(task, 4);
  const isChange = command?.conflict === 'change' && kind !== 'flush';
  if (isChange && (unit.isReadonly || unit.modes.isWriteProtected)) return SENSE.WRITE_PROTECTED;
  if (kind === 'unmap') return planUnmap(task, unit);
  const [first, blocks, flags] = [firstOf(cdb), blocksOf(cdb), isShort ? 0 : cdb[1]!];
  if (kind !== 'prefetch' && kind !== 'flush' && kind !== 'block status' && (flags & FLAG.PROTECT) !== 0) return refuse(task, 1);
  switch (kind) {
    case 'read':
      return planTransfer(task, unit, first, blocks) || planRead(task, unit);
    case 'write':
      task.fua = (flags & FLAG.FUA) !== 0;
      return planTransfer(task, unit, first, blocks) || planWrite(task, unit) || wantOut(task, task.rangeBytes, task.rangeBytes);
    case 'orwrite':
      task.fua = (flags & FLAG.FUA) !== 0;
      return planTransfer(task, unit, first, blocks) || wantOut(task, task.rangeBytes, withPiece(task.rangeBytes, task.rangeBytes));
    case 'write and verify':
    case 'verify':
      task.check = (flags & FLAG.CHECK) >>> 1;
      return planTransfer(task, unit, first, blocks) || planVerify(task, unit, kind === 'verify');
    case 'compare and write':
      return planCompare(task, unit, first, blocks);
    case 'write same':
      return planSame(task, unit, first, blocks);
    case 'block status':
      return first >= unit.blocks ? SENSE.OUT_OF_RANGE : setRange(task, unit, first, 0);
    default:
      return setRange(task, unit, first, blocks);
  }
}

function refuse(task: ScsiTask, field: number): Outcome {
  task.field = field;
  return SENSE.INVALID_FIELD;
}

function withPiece(outBytes: number, rangeBytes: number): number {
  return outBytes + Math.min(rangeBytes, SCSI_PIECE_BYTES);
}

function planTransfer(task: ScsiTask, unit: LogicalUnit, first: number, blocks: number): Outcome {
  const outcome = setRange(task, unit, first, blocks);
  return outcome === GOOD && task.rangeBytes > SCSI_TRANSFER_MAX_BYTES ? SENSE.INVALID_FIELD : outcome;
}

/** Reads no more than the host has announced, in whole blocks. */
function planRead(task: ScsiTask, { blockSizeBytes }: LogicalUnit): Outcome {
  task.presentedBytes = task.rangeBytes;
  task.dataBytes = Math.min(task.rangeBytes, task.announcedInBytes);
  task.rangeBytes = Math.ceil(task.dataBytes / blockSizeBytes) * blockSizeBytes;
  task.memoryBytes = task.rangeBytes;
  return GOOD;
}

/**
 * If the host has announced fewer blocks than the command has, only these are written, and the host is told so. A partial block is refused.
 */
function planWrite(task: ScsiTask, { blockSizeBytes }: LogicalUnit): Outcome {
  task.presentedBytes = task.rangeBytes;
  task.rangeBytes = Math.min(task.rangeBytes, task.announcedOutBytes);
  return task.rangeBytes % blockSizeBytes === 0 ? GOOD : SENSE.SHORT_DATA;
}

function planVerify(task: ScsiTask, unit: LogicalUnit, isVerify: boolean): Outcome {
  const { check } = task;
  const isKnown = check === CHECK.NOTHING || check === CHECK.DATA || (check === CHECK.BLOCK && isVerify);
  if (!isKnown) return refuse(task, 1);
  const refused = isVerify ? GOOD : planWrite(task, unit);
  const { rangeBytes } = task;
  if (refused !== GOOD || rangeBytes === 0) return refused;
  let outBytes = isVerify && check === CHECK.NOTHING ? 0 : rangeBytes;
  if (check === CHECK.BLOCK) outBytes = unit.blockSizeBytes;
  return wantOut(task, outBytes, withPiece(outBytes, rangeBytes));
}

/** The volume compares one block with the host's data and writes it, with no other change in between. */
function planCompare(task: ScsiTask, unit: LogicalUnit, first: number, blocks: number): Outcome {
  task.fua = (task.cdb[1]! & FLAG.FUA) !== 0;
  const outcome = setRange(task, unit, first, blocks);
  if (outcome !== GOOD || (blocks === 0 && task.announcedOutBytes === 0)) return outcome;
  // A host that takes the number 0 for 256 blocks announces data with it.
  if (blocks !== 1) return refuse(task, 13);
  return wantExactly(task, 2 * task.rangeBytes, 2 * task.rangeBytes);
}

/** Wants exactly `outBytes` of data-out; refuses the command if the host announces more, because it has then misunderstood the command. */
function wantExactly(task: ScsiTask, outBytes: number, memoryBytes: number): Outcome {
  const outcome = wantOut(task, outBytes, memoryBytes);
  return outcome === GOOD && task.announcedOutBytes > outBytes ? SENSE.SHORT_DATA : outcome;
}

function planSame(task: ScsiTask, unit: LogicalUnit, first: number, blocks: number): Outcome {
  const flags = task.cdb[1]!;
  task.isUnmap = (flags & FLAG.UNMAP) !== 0;
  const hasNoData = task.cdb[0] === OP.WRITE_SAME_16 && (flags & FLAG.NO_DATA) !== 0;
  if ((flags & FLAG.ANCHOR) !== 0 || (task.isUnmap && !unit.port.volume.canDiscard)) return refuse(task, 1);
  const outcome = setRange(task, unit, first, blocks);
  if (outcome !== GOOD) return outcome;
  // WSNZ: 0 does not mean all blocks up to the end.
  if (blocks === 0 || blocks > SCSI_WRITE_SAME_BLOCKS) return refuse(task, task.cdb[0] === OP.WRITE_SAME_16 ? 10 : 7);
  if (hasNoData) return GOOD;
  return wantExactly(task, unit.blockSizeBytes, withPiece(unit.blockSizeBytes, task.rangeBytes));
}

function planUnmap(task: ScsiTask, unit: LogicalUnit): Outcome {
  if (!unit.port.volume.canDiscard) return SENSE.INVALID_OPCODE;
  if ((task.cdb[1]! & UNMAP_ANCHOR) !== 0) return refuse(task, 1);
  const listBytes = task.cdb.readUInt16BE(7);
  if (listBytes === 0) return GOOD;
  if (listBytes < UNMAP_HEADER_BYTES) return SENSE.LIST_LENGTH;
  if (listBytes > UNMAP_HEADER_BYTES + SCSI_UNMAP_RANGES * UNMAP_RANGE_BYTES) return SENSE.INVALID_FIELD;
  return wantOut(task, listBytes, listBytes);
}

/** Number of ranges in the parameter list of UNMAP. */
export function unmapRanges({ buffer, outBytes }: ScsiTask): number {
  if (outBytes < UNMAP_HEADER_BYTES) return 0;
  const descriptorBytes = Math.min(buffer.readUInt16BE(2), outBytes - UNMAP_HEADER_BYTES);
  return Math.floor(descriptorBytes / UNMAP_RANGE_BYTES);
}

/** Returns the first block and the number of blocks of a range of UNMAP. */
export function unmapRange({ buffer }: ScsiTask, index: number): readonly [first: number, blocks: number] {
  const at = UNMAP_HEADER_BYTES + index * UNMAP_RANGE_BYTES;
  return [buffer.readUInt32BE(at) * 2 ** 32 + buffer.readUInt32BE(at + 4), buffer.readUInt32BE(at + 8)];
}
