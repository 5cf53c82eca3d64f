// The mode pages of a unit, and the two bits in them that hosts may change. Pure. Source: SPC-4, 7.5; SBC-3, 6.5. Invariant: a refused
// parameter list changes nothing.

import { type Outcome, SENSE } from './constants.ts';

/** Descriptor sense data, and write protection by hosts. All hosts of a unit share them; a reset clears them. */
export interface Modes {
  readonly isDescriptorSense: boolean;
  readonly isWriteProtected: boolean;
}

export const DEFAULT_MODES: Modes = { isDescriptorSense: false, isWriteProtected: false };

const PAGE = { RECOVERY: 0x01, CACHING: 0x08, CONTROL: 0x0a, EXCEPTIONS: 0x1c, ALL: 0x3f } as const;
/** The control page: byte and bit of D_SENSE and SWP. */
const D_SENSE = { at: 2, bit: 0x04 } as const;
const SWP = { at: 4, bit: 0x08 } as const;
/** Page control: which values are wanted. */
const WANTED = { CURRENT: 0, CHANGEABLE: 1, DEFAULT: 2, SAVED: 3 } as const;
const WRITE_PROTECTED = 0x80;
const DPO_FUA = 0x10;
const SHORT_DESCRIPTOR_BYTES = 8;
const LONG_DESCRIPTOR_BYTES = 16;

export interface ModeUnit {
  readonly modes: Modes;
  readonly isReadonly: boolean;
  readonly blocks: number;
  readonly blockSizeBytes: number;
}

/** Returns the data of MODE SENSE, or why it is refused. */
export function modeSense(cdb: Buffer, isLong: boolean, unit: ModeUnit): Buffer | Outcome {
  const wanted = cdb[2]! >>> 6;
  if (wanted === WANTED.SAVED) return SENSE.INVALID_FIELD;
  const subpage = cdb[3]!;
  const pages = pagesOf(cdb[2]! & 0x3f, wanted, unit.modes);
  if (pages === null || (subpage !== 0 && subpage !== 0xff)) return SENSE.INVALID_FIELD;
  const hasDescriptor = (cdb[1]! & 0x08) === 0;
  const isLongDescriptor = isLong && (cdb[1]! & 0x10) !== 0;
  const descriptor = hasDescriptor ? blockDescriptor(unit, isLongDescriptor) : Buffer.alloc(0);
  const header = Buffer.alloc(isLong ? 8 : 4);
  const bytes = Buffer.concat([header, descriptor, ...pages]);
  const flags = DPO_FUA | (unit.isReadonly || unit.modes.isWriteProtected ? WRITE_PROTECTED : 0);
  if (isLong) {
    bytes.writeUInt16BE(bytes.length - 2, 0);
    bytes[3] = flags;
    bytes[4] = isLongDescriptor ? 1 : 0;
    bytes.writeUInt16BE(descriptor.length, 6);
  } else {
    bytes[0] = bytes.length - 1;
    bytes[2] = flags;
    bytes[3] = descriptor.length;
  }
  return bytes;
}

function blockDescriptor({ blocks, blockSizeBytes }: ModeUnit, isLong: boolean): Buffer {
  const bytes = Buffer.alloc(isLong ? LONG_DESCRIPTOR_BYTES : SHORT_DESCRIPTOR_BYTES);
  if (isLong) {
    bytes.writeBigUInt64BE(BigInt(blocks), 0);
    bytes.writeUInt32BE(blockSizeBytes, 12);
  } else {
    bytes.writeUInt32BE(Math.min(blocks, 0xffff_ffff), 0);
    bytes.writeUIntBE(blockSizeBytes, 5, 3);
  }
  return bytes;
}

function pagesOf(code: number, wanted: number, modes: Modes): Buffer[] | null {
  const all = [recoveryPage(), cachingPage(wanted), controlPage(wanted, modes), exceptionsPage()];
  const pages = code === PAGE.ALL ? all : all.filter((page) => page[0] === code);
  return pages.length === 0 ? null : pages;
}

function page(code: number, lengthBytes: number): Buffer {
  const bytes = Buffer.alloc(2 + lengthBytes);
  bytes[0] = code;
  bytes[1] = lengthBytes;
  return bytes;
}

function recoveryPage(): Buffer {
  return page(PAGE.RECOVERY, 10);
}

/** The write cache is on, because a write without FUA is not durable before SYNCHRONIZE CACHE. */
function cachingPage(wanted: number): Buffer {
  const bytes = page(PAGE.CACHING, 18);
  if (wanted !== WANTED.CHANGEABLE) bytes[2] = 0x04;
  return bytes;
}

/** Tasks may be reordered, because only overlapping changes keep their order. Aborted tasks get no status. */
function controlPage(wanted: number, modes: Modes): Buffer {
  const bytes = page(PAGE.CONTROL, 10);
  const isSet = (value: boolean): boolean => wanted === WANTED.CHANGEABLE || (wanted === WANTED.CURRENT && value);
  if (isSet(modes.isDescriptorSense)) bytes[D_SENSE.at] = D_SENSE.bit;
  if (isSet(modes.isWriteProtected)) bytes[SWP.at] = SWP.bit;
  if (wanted !== WANTED.CHANGEABLE) {
    bytes[3] = 0x10;
    bytes.writeUInt16BE(0xffff, 8);
  }
  return bytes;
}

function exceptionsPage(): Buffer {
  return page(PAGE.EXCEPTIONS, 10);
}

/** Returns the modes after MODE SELECT with the parameters in `list`, or why it is refused. */
export function modeSelect(cdb: Buffer, isLong: boolean, list: Buffer, unit: ModeUnit): Modes | Outcome {
  // Accept only pages in the standard's format, and no values that must survive a reset.
  if ((cdb[1]! & 0x11) !== 0x10) return SENSE.INVALID_FIELD;
  if (list.length === 0) return unit.modes;
  const headerBytes = isLong ? 8 : 4;
  if (list.length < headerBytes) return SENSE.LIST_LENGTH;
  const descriptorBytes = isLong ? list.readUInt16BE(6) : list[3]!;
  let at = headerBytes + descriptorBytes;
  if (at > list.length) return SENSE.LIST_LENGTH;
  if (descriptorBytes > 0) {
    const isLongDescriptor = isLong && (list[4]! & 1) !== 0;
    const refused = checkDescriptor(list.subarray(headerBytes, at), isLongDescriptor, unit);
    if (refused !== 0) return refused;
  }
  let { modes } = unit;
  while (at < list.length) {
    const end = at + 2 < list.length ? at + 2 + list[at + 1]! : list.length + 1;
    if (end > list.length) return SENSE.LIST_LENGTH;
    const changed = changedBy(list.subarray(at, end), modes);
    if (typeof changed === 'number') return changed;
    modes = changed;
    at = end;
  }
  return modes;
}

/** A descriptor may repeat the size of the unit, or leave it open with zeros. */
function checkDescriptor(bytes: Buffer, isLong: boolean, { blocks, blockSizeBytes }: ModeUnit): Outcome {
  if (bytes.length !== (isLong ? LONG_DESCRIPTOR_BYTES : SHORT_DESCRIPTOR_BYTES)) return SENSE.INVALID_PARAMETER;
  const count = isLong ? bytes.readBigUInt64BE(0) : BigInt(bytes.readUInt32BE(0));
  const sizeBytes = isLong ? bytes.readUInt32BE(12) : bytes.readUIntBE(5, 3);
  const isCount = count === 0n || count === BigInt(blocks) || (!isLong && count === 0xffff_ffffn);
  return isCount && (sizeBytes === 0 || sizeBytes === blockSizeBytes) ? 0 : SENSE.INVALID_PARAMETER;
}

/** Returns the modes after one page. Where nothing may be changed, the page must contain the unit's values. */
function changedBy(given: Buffer, modes: Modes): Modes | Outcome {
  const code = given[0]! & 0x7f;
  if (code === PAGE.ALL) return SENSE.INVALID_PARAMETER;
  const [current, changeable] = [pagesOf(code, WANTED.CURRENT, modes)?.[0], pagesOf(code, WANTED.CHANGEABLE, modes)?.[0]];
  if (current === undefined || changeable === undefined || current.length !== given.length) return SENSE.INVALID_PARAMETER;
  for (let at = 2; at < given.length; at++) if (((given[at]! ^ current[at]!) & ~changeable[at]!) !== 0) return SENSE.INVALID_PARAMETER;
  if (code !== PAGE.CONTROL) return modes;
  return {
    isDescriptorSense: (given[D_SENSE.at]! & D_SENSE.bit) !== 0,
    isWriteProtected: (given[SWP.at]! & SWP.bit) !== 0,
  };
}
