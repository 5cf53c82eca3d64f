// INQUIRY: what a unit is, and its pages of vital product data. Pure. Sources: SPC-4, 6.6 and 7.8; SBC-3, 6.6. Invariant: the names of a
// unit depend only on the id of its volume, so that all gates of the volume, on any machine, show the same device.

import { createHash } from 'node:crypto';
import { SCSI_TRANSFER_MAX_BYTES, SCSI_UNMAP_BLOCKS, SCSI_UNMAP_RANGES, SCSI_WRITE_SAME_BLOCKS } from '../limits.ts';
import { copyPage } from './copy-parameters.ts';
import { type Outcome, SENSE } from './constants.ts';
import type { LogicalUnit } from './logical-unit.ts';

const VENDOR = 'RSIO';
const PRODUCT = 'RSIO volume';
/** Peripheral qualifier and type: a disk, or no unit although the target could have one there. */
const DISK = 0x00;
const NO_UNIT = 0x7f;
const SPC_4 = 0x06;
const STANDARD_BYTES = 74;
/** SAM-5, SPC-4, SBC-3, iSCSI. */
const VERSIONS = [0x00a0, 0x0460, 0x04c0, 0x0960] as const;
const PAGE = { SUPPORTED: 0x00, SERIAL: 0x80, IDENTIFICATION: 0x83, COPY: 0x8f, LIMITS: 0xb0, DEVICE: 0xb1, THIN: 0xb2 } as const;
/** Implicit and explicit changes of the access state of target port groups. */
const TPGS = 0x30;
const THIRD_PARTY_COPY = 0x08;
const LIMITS_BYTES = 60;

/** The parts of a target that its units show. */
export interface InquiryTarget {
  readonly hasPartner: boolean;
  readonly member: number;
  readonly targetName: string;
  readonly version: string;
}

/** Returns the data of INQUIRY, or why it is refused. `unit` is null if there is none. */
export function inquiry(cdb: Buffer, unit: LogicalUnit | null, target: InquiryTarget, targetPort: number): Buffer | Outcome {
  const hasPage = (cdb[1]! & 1) !== 0;
  if (!hasPage) return cdb[2] === 0 ? standard(unit, target) : SENSE.INVALID_FIELD;
  if (unit === null) return SENSE.NO_UNIT;
  const content = pageContent(cdb[2]!, unit, target, targetPort);
  if (content === null) return SENSE.INVALID_FIELD;
  const bytes = Buffer.alloc(4 + content.length);
  bytes[1] = cdb[2]!;
  bytes.writeUInt16BE(content.length, 2);
  content.copy(bytes, 4);
  return bytes;
}

function standard(unit: LogicalUnit | null, { hasPartner, version }: InquiryTarget): Buffer {
  const bytes = Buffer.alloc(STANDARD_BYTES);
  bytes[0] = unit === null ? NO_UNIT : DISK;
  bytes[2] = SPC_4;
  // Response data format 2, and hierarchical addressing of units.
  bytes[3] = 0x12;
  bytes[4] = STANDARD_BYTES - 5;
  bytes[5] = THIRD_PARTY_COPY | (hasPartner ? TPGS : 0);
  // Several ports, and tasks of a host in a queue.
  bytes[6] = 0x10;
  bytes[7] = 0x02;
  text(bytes, 8, 8, VENDOR);
  text(bytes, 16, 16, PRODUCT);
  text(bytes, 32, 4, version);
  for (const [index, descriptor] of VERSIONS.entries()) bytes.writeUInt16BE(descriptor, 58 + 2 * index);
  return bytes;
}

function pageContent(page: number, unit: LogicalUnit, target: InquiryTarget, targetPort: number): Buffer | null {
  switch (page) {
    case PAGE.SUPPORTED:
      return Buffer.from(Object.values(PAGE));
    case PAGE.SERIAL:
      return Buffer.from(idOf(unit), 'latin1');
    case PAGE.IDENTIFICATION:
      return identification(unit, target, targetPort);
    case PAGE.COPY:
      return copyPage();
    case PAGE.LIMITS:
      return limits(unit);
    case PAGE.DEVICE:
      return deviceCharacteristics();
    case PAGE.THIN:
      return provisioning(unit);
    default:
      return null;
  }
}

/** The id of the volume, in 32 hexadecimal digits. */
function idOf({ port }: LogicalUnit): string {
  return port.volume.id.replaceAll('-', '').toLowerCase();
}

/** The name of a unit as a number of 64 bits (NAA 3, locally assigned), which old hosts need. */
export function shortName(unit: LogicalUnit): Buffer {
  const name = createHash('sha256')
    .update(`rsio unit ${idOf(unit)}`)
    .digest()
    .subarray(0, 8);
  name[0] = 0x30 | (name[0]! & 0x0f);
  return name;
}

const CODE_SET = { BINARY: 1, ASCII: 2, UTF_8: 3 } as const;
/** Types of designators, with the bits that say that the designator belongs to the target port or to the target instead of the unit. */
const NAME = { T10: 0x01, NAA: 0x03, UUID: 0x0a, PORT: 0x14, GROUP: 0x15, PORT_NAME: 0x18, TARGET_NAME: 0x28 } as const;
const ISCSI = 0x50;

function identification(unit: LogicalUnit, { member, targetName }: InquiryTarget, targetPort: number): Buffer {
  const id = idOf(unit);
  const uuid = Buffer.alloc(18);
  uuid[0] = 0x10;
  uuid.write(id, 2, 16, 'hex');
  return Buffer.concat([
    designator(CODE_SET.BINARY, NAME.NAA, shortName(unit)),
    designator(CODE_SET.ASCII, NAME.T10, Buffer.from(VENDOR.padEnd(8) + id, 'latin1')),
    designator(CODE_SET.BINARY, NAME.UUID, uuid),
    designator(CODE_SET.BINARY, NAME.PORT, inFourBytes(targetPort)),
    designator(CODE_SET.BINARY, NAME.GROUP, inFourBytes(member)),
    designator(CODE_SET.UTF_8, NAME.PORT_NAME, padded(`${targetName},t,0x${targetPort.toString(16).padStart(4, '0')}`)),
    designator(CODE_SET.UTF_8, NAME.TARGET_NAME, padded(targetName)),
  ]);
}

function designator(codeSet: number, type: number, name: Buffer): Buffer {
  // Designators of ports and targets name the protocol, which is iSCSI.
  const isOfUnit = (type & 0x30) === 0;
  return Buffer.concat([Buffer.from([codeSet | (isOfUnit ? 0 : ISCSI), isOfUnit ? type : 0x80 | type, 0, name.length]), name]);
}

function inFourBytes(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(value, 2);
  return bytes;
}

/** Returns a name followed by at least one zero byte, padded to a multiple of four bytes. */
function padded(name: string): Buffer {
  const bytes = Buffer.alloc((Math.floor(Buffer.byteLength(name) / 4) + 1) * 4);
  bytes.write(name);
  return bytes;
}

function limits(unit: LogicalUnit): Buffer {
  const bytes = Buffer.alloc(LIMITS_BYTES);
  const inBlocks = (lengthBytes: number): number => Math.max(1, Math.floor(lengthBytes / unit.blockSizeBytes));
  const { canDiscard } = unit.port.volume;
  // Offsets are those in the whole page; `bytes` does not contain its header of four bytes.
  const at = (offset: number): number => offset - 4;
  bytes[at(4)] = 0x01;
  bytes[at(5)] = 1;
  bytes.writeUInt16BE(Math.min(inBlocks(4096), 0xffff), at(6));
  bytes.writeUInt32BE(inBlocks(SCSI_TRANSFER_MAX_BYTES), at(8));
  bytes.writeUInt32BE(inBlocks(SCSI_TRANSFER_MAX_BYTES / 4), at(12));
  bytes.writeUInt32BE(canDiscard ? SCSI_UNMAP_BLOCKS : 0, at(20));
  bytes.writeUInt32BE(canDiscard ? SCSI_UNMAP_RANGES : 0, at(24));
  bytes.writeUInt32BE(inBlocks(4096), at(28));
  bytes.writeUInt32BE(0x8000_0000, at(32));
  bytes.writeBigUInt64BE(BigInt(SCSI_WRITE_SAME_BLOCKS), at(36));
  return bytes;
}

/** Not a rotating medium. */
function deviceCharacteristics(): Buffer {
  const bytes = Buffer.alloc(60);
  bytes.writeUInt16BE(1, 0);
  return bytes;
}

/** Unmapped blocks read as zeros; UNMAP and WRITE SAME unmap blocks. */
function provisioning(unit: LogicalUnit): Buffer {
  const { canDiscard } = unit.port.volume;
  return Buffer.from([0, canDiscard ? 0xe4 : 0, canDiscard ? 0x02 : 0x00, 0]);
}

function text(bytes: Buffer, at: number, lengthBytes: number, value: string): void {
  bytes.write(value.slice(0, lengthBytes).padEnd(lengthBytes), at, lengthBytes, 'latin1');
}
