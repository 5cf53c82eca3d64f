// The bytes of frames of ATA over Ethernet (AoEr11). All numbers are in network byte order.
// Invariant: no function reads past the `end` of a frame; the callers check the length of the argument that they read.

//    0 destination   6 source   12 type 88a2   14 version | flags   15 error   16 shelf   18 slot   19 command   20 tag   24 argument
//   ATA      24 flags   25 feature, error   26 sectors   27 command, status   28 LBA, 6 bytes, lowest first   36 data
//   config   24 buffers   26 firmware   28 sectors   29 version | verb   30 length   32 string
//   mask     24 reserved   25 verb   26 error   27 count   28 directives: reserved, verb, MAC
//   reserve  24 verb   25 count   26 MACs

export const ETHER_TYPE = 0x88a2;
export const VERSION = 1;
export const HEADER_BYTES = 24;
export const ATA_BYTES = 36;
export const CONFIG_BYTES = 32;
export const MASK_BYTES = 28;
export const RESERVE_BYTES = 26;
export const MAC_BYTES = 6;
export const DIRECTIVE_BYTES = 8;
export const SECTOR_BYTES = 512;

export const FLAG = { RESPONSE: 8, ERROR: 4 } as const;
export const COMMAND = { ATA: 0, CONFIG: 1, MASK: 2, RESERVE: 3 } as const;
/** In a response: why the command was refused. */
export const FAULT = { COMMAND: 1, ARGUMENT: 2, UNAVAILABLE: 3, CONFIG_PRESENT: 4, VERSION: 5, RESERVED: 6 } as const;
export type Fault = (typeof FAULT)[keyof typeof FAULT];
export const CONFIG = { READ: 0, TEST: 1, TEST_PREFIX: 2, SET: 3, FORCE: 4 } as const;
export const MASK = { READ: 0, EDIT: 1 } as const;
export const DIRECTIVE = { NONE: 0, ADD: 1, DELETE: 2 } as const;
export const MASK_FAULT = { NONE: 0, DIRECTIVE: 2, FULL: 3 } as const;
export const RESERVE = { READ: 0, SET: 1, FORCE: 2 } as const;
export const EVERY_SHELF = 0xffff;
export const EVERY_SLOT = 0xff;
export const BROADCAST_MAC = 0xffff_ffff_ffff;

export const ATA_FLAG = { EXTENDED: 0x40, WRITE: 0x01 } as const;
export const ATA = { READ: 0x20, READ_EXT: 0x24, WRITE: 0x30, WRITE_EXT: 0x34, FLUSH: 0xe7, FLUSH_EXT: 0xea, IDENTIFY: 0xec } as const;
export const ATA_STATUS = { READY: 0x40, FAILED: 0x41 } as const;
export const ATA_ERROR = { NONE: 0, ABORTED: 0x04, NOT_FOUND: 0x10, UNCORRECTABLE: 0x40 } as const;
export type AtaError = (typeof ATA_ERROR)[keyof typeof ATA_ERROR];

/** A MAC address is a number of 48 bits. */
export function macAt(bytes: Buffer, at: number): number {
  return bytes.readUIntBE(at, MAC_BYTES);
}

export function macText(mac: number): string {
  return mac
    .toString(16)
    .padStart(2 * MAC_BYTES, '0')
    .replace(/(..)(?=.)/g, '$1:');
}

export function macOf(text: string): number {
  return Number.parseInt(text.replaceAll(':', ''), 16);
}

/** True if an address means a group of cards. */
export function isGroup(mac: number): boolean {
  return Math.floor(mac / 2 ** 40) % 2 === 1;
}

/** Sectors of data that fit into one frame of a network with this MTU. */
export function sectorsIn(mtu: number): number {
  return Math.max(0, Math.min(255, Math.floor((mtu - (ATA_BYTES - 14)) / SECTOR_BYTES)));
}

export interface Answer {
  readonly from: number;
  readonly shelf: number;
  readonly slot: number;
  readonly fault: Fault | 0;
}

/** Writes the header of the answer to the request whose header is at the start of `request`. */
export function writeAnswer(out: Buffer, at: number, request: Buffer, { from, shelf, slot, fault }: Answer): void {
  request.copy(out, at, MAC_BYTES, 2 * MAC_BYTES);
  out.writeUIntBE(from, at + MAC_BYTES, MAC_BYTES);
  out.writeUInt16BE(ETHER_TYPE, at + 12);
  out[at + 14] = (VERSION << 4) | FLAG.RESPONSE | (fault === 0 ? 0 : FLAG.ERROR);
  out[at + 15] = fault;
  out.writeUInt16BE(shelf, at + 16);
  out[at + 18] = slot;
  request.copy(out, at + 19, 19, HEADER_BYTES);
}
