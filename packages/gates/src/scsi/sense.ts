// Sense data, in fixed and in descriptor form. Pure. Source: SPC-4, 4.5. Invariant: the returned length equals the length that the sense
// data itself states.

const FIXED = 0x70;
const DESCRIPTOR = 0x72;
const FIXED_BYTES = 18;
const DESCRIPTOR_HEADER_BYTES = 8;
const INFORMATION_BYTES = 12;
const POINTER_BYTES = 8;

/** The parts of sense data besides its code; -1 for a part that it does not have. */
export interface SenseExtras {
  /** The offset of the first byte that differs, or the number of the first block that is wrong. */
  readonly information: number;
  /** The number of the byte that is wrong; in the command block if `isInCommand`, otherwise in the parameter list. */
  readonly field: number;
  readonly isInCommand: boolean;
}

export const NO_EXTRAS: SenseExtras = { information: -1, field: -1, isInCommand: false };

/** Writes the sense data of `code` to `bytes`, and returns its length. */
export function writeSense(bytes: Buffer, code: number, isDescriptor: boolean, extras: SenseExtras): number {
  bytes.fill(0);
  return isDescriptor ? writeDescriptors(bytes, code, extras) : writeFixed(bytes, code, extras);
}

function writeFixed(bytes: Buffer, code: number, { information, field, isInCommand }: SenseExtras): number {
  bytes[0] = FIXED;
  bytes[2] = code >>> 16;
  bytes[7] = FIXED_BYTES - 8;
  bytes.writeUInt16BE(code & 0xffff, 12);
  if (information >= 0 && information < 2 ** 32) {
    bytes[0] |= 0x80;
    bytes.writeUInt32BE(information, 3);
  }
  if (field >= 0) writePointer(bytes, 15, field, isInCommand);
  return FIXED_BYTES;
}

function writeDescriptors(bytes: Buffer, code: number, { information, field, isInCommand }: SenseExtras): number {
  bytes[0] = DESCRIPTOR;
  bytes[1] = code >>> 16;
  bytes.writeUInt16BE(code & 0xffff, 2);
  let at = DESCRIPTOR_HEADER_BYTES;
  if (information >= 0) {
    bytes[at + 1] = INFORMATION_BYTES - 2;
    bytes[at + 2] = 0x80;
    bytes.writeBigUInt64BE(BigInt(information), at + 4);
    at += INFORMATION_BYTES;
  }
  if (field >= 0) {
    bytes[at] = 2;
    bytes[at + 1] = POINTER_BYTES - 2;
    writePointer(bytes, at + 4, field, isInCommand);
    at += POINTER_BYTES;
  }
  bytes[7] = at - DESCRIPTOR_HEADER_BYTES;
  return at;
}

function writePointer(bytes: Buffer, at: number, field: number, isInCommand: boolean): void {
  bytes[at] = 0x80 | (isInCommand ? 0x40 : 0);
  bytes.writeUInt16BE(field, at + 1);
}
