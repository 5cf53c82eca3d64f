// The codec of EXTENDED COPY (LID1) and RECEIVE COPY RESULTS: translates lists into segments, and reports the supported parameters. Pure.
// Source: SPC-4, 6.4, 6.17 and 7.8.17. Invariant: segments that are returned lie within the unit, and name this unit alone.

import { SCSI_COPY_SEGMENTS, SCSI_COPY_TARGETS, SCSI_PIECE_BYTES } from '../limits.ts';
import { GOOD, OP, type Outcome, SENSE } from './constants.ts';

const HEADER_BYTES = 16;
const TARGET_BYTES = 32;
const SEGMENT_BYTES = 28;
const TYPE = { TARGET: 0xe4, SEGMENT: 0x02 } as const;
const LISTS_MAX_BYTES = SCSI_COPY_TARGETS * TARGET_BYTES + SCSI_COPY_SEGMENTS * SEGMENT_BYTES;
/** Most bytes of a parameter list that are read, so that a host learns which part of its list is too long. */
export const COPY_LIST_MAX_BYTES = 4 * LISTS_MAX_BYTES;
const SEGMENT_MAX_BLOCKS = 0xffff;
const CODE_SET_BINARY = 1;
const NAA = 3;
/** The list has no identifier, and the result of the copy is not kept. */
const DISCARDS_RESULT = 0x18;

/** The unit that executes a copy. */
export interface CopyUnit {
  readonly blocks: number;
  readonly blockSizeBytes: number;
  /** The unit's designator of type NAA. */
  readonly name: Buffer;
}

export interface CopySegment {
  readonly from: number;
  readonly to: number;
  readonly blocks: number;
}

/** Bytes of the parameter list of EXTENDED COPY. */
export function copyListBytes(cdb: Buffer): number {
  return cdb.readUInt32BE(10);
}

/** Returns the identifier of the list; null if the result of the copy is not to be kept. */
export function copyListId(list: Buffer): number | null {
  return list.length === 0 || (list[1]! & DISCARDS_RESULT) === DISCARDS_RESULT ? null : list[0]!;
}

/** Returns the segments of a copy within the unit, or why the list is refused. */
export function copySegments(list: Buffer, unit: CopyUnit): readonly CopySegment[] | Outcome {
  if (list.length === 0) return [];
  if (list.length < HEADER_BYTES) return SENSE.LIST_LENGTH;
  const [targetsBytes, segmentsBytes, inlineBytes] = [list.readUInt16BE(2), list.readUInt32BE(8), list.readUInt32BE(12)];
  if (HEADER_BYTES + targetsBytes + segmentsBytes + inlineBytes > list.length) return SENSE.LIST_LENGTH;
  if (targetsBytes + segmentsBytes > LISTS_MAX_BYTES) return SENSE.LIST_LENGTH;
  const targets = list.subarray(HEADER_BYTES, HEADER_BYTES + targetsBytes);
  const segments = list.subarray(HEADER_BYTES + targetsBytes, HEADER_BYTES + targetsBytes + segmentsBytes);
  return checkTargets(targets, unit) || segmentsOf(segments, Math.floor(targets.length / TARGET_BYTES), unit);
}

function checkTargets(targets: Buffer, unit: CopyUnit): Outcome {
  for (let at = 0; at + TARGET_BYTES <= targets.length; at += TARGET_BYTES)
    if (targets[at] !== TYPE.TARGET) return SENSE.UNSUPPORTED_TARGET;
  if (targets.length > SCSI_COPY_TARGETS * TARGET_BYTES) return SENSE.TOO_MANY_TARGETS;
  if (targets.length % TARGET_BYTES !== 0) return SENSE.LIST_LENGTH;
  for (let at = 0; at < targets.length; at += TARGET_BYTES) {
    const isName = (targets[at + 4]! & 0x0f) === CODE_SET_BINARY && (targets[at + 5]! & 0x3f) === NAA;
    const name = targets.subarray(at + 8, at + 8 + Math.min(targets[at + 7]!, 20));
    if (!isName || !unit.name.equals(name)) return SENSE.COPY_UNREACHABLE;
    if (targets.readUIntBE(at + 29, 3) !== unit.blockSizeBytes) return SENSE.INVALID_PARAMETER;
  }
  return GOOD;
}

function segmentsOf(list: Buffer, targets: number, unit: CopyUnit): readonly CopySegment[] | Outcome {
  const segments: CopySegment[] = [];
  for (let at = 0; at < list.length; at += SEGMENT_BYTES) {
    if (list[at] !== TYPE.SEGMENT) return SENSE.UNSUPPORTED_SEGMENT;
    if (at + SEGMENT_BYTES > list.length) return SENSE.LIST_LENGTH;
    if (segments.length >= SCSI_COPY_SEGMENTS) return SENSE.TOO_MANY_SEGMENTS;
    if (list.readUInt16BE(at + 2) !== SEGMENT_BYTES - 4) return SENSE.INVALID_PARAMETER;
    if (list.readUInt16BE(at + 4) >= targets || list.readUInt16BE(at + 6) >= targets) return SENSE.COPY_UNREACHABLE;
    const segment = { from: blockAt(list, at + 12), to: blockAt(list, at + 20), blocks: list.readUInt16BE(at + 10) };
    if (Math.max(segment.from, segment.to) > unit.blocks - segment.blocks) return SENSE.COPY_FAILED;
    segments.push(segment);
  }
  return segments;
}

function blockAt(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
}

/** Returns the data of RECEIVE COPY RESULTS for the operating parameters. */
export function copyParameters(blockSizeBytes: number): Buffer {
  const bytes = Buffer.alloc(46);
  bytes.writeUInt32BE(bytes.length - 4, 0);
  bytes.writeUInt16BE(SCSI_COPY_TARGETS, 8);
  bytes.writeUInt16BE(SCSI_COPY_SEGMENTS, 10);
  bytes.writeUInt32BE(LISTS_MAX_BYTES, 12);
  bytes.writeUInt32BE(SEGMENT_MAX_BLOCKS * blockSizeBytes, 16);
  bytes.writeUInt16BE(1, 34);
  bytes[36] = 1;
  bytes[37] = Math.log2(SCSI_PIECE_BYTES);
  bytes[43] = 2;
  bytes[44] = TYPE.SEGMENT;
  bytes[45] = TYPE.TARGET;
  return bytes;
}

/** Returns the data of RECEIVE COPY RESULTS for the status of a copy that has ended. */
export function copyStatus(isGood: boolean): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(8, 0);
  bytes[4] = isGood ? 1 : 2;
  return bytes;
}

/** Returns the content of the vital product data page about copies: commands, descriptors. */
export function copyPage(): Buffer {
  const commands = [OP.EXTENDED_COPY, 1, 0, OP.RECEIVE_COPY_RESULTS, 2, 0, 3];
  return Buffer.concat([pageDescriptor(0x0001, commands), pageDescriptor(0x0008, [TYPE.SEGMENT, TYPE.TARGET])]);
}

function pageDescriptor(type: number, list: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 + Math.ceil((list.length + 1) / 4) * 4);
  bytes.writeUInt16BE(type, 0);
  bytes.writeUInt16BE(bytes.length - 4, 2);
  bytes[4] = list.length;
  bytes.set(list, 5);
  return bytes;
}
