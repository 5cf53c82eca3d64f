// A host of AoE for tests: builds requests and reads answers byte by byte, according to AoEr11.
// Invariant: it shares no code with the gate.

export const HOST = '02:00:00:00:00:01';
export const OTHER = '02:00:00:00:00:02';
export const GATE = '02:00:00:00:00:99';
export const EVERYONE = 'ff:ff:ff:ff:ff:ff';

export interface Header {
  readonly to?: string;
  readonly from?: string;
  readonly shelf?: number;
  readonly slot?: number;
  readonly tag?: number;
  readonly version?: number;
  readonly flags?: number;
}

export function mac(text: string): Buffer {
  return Buffer.from(text.replaceAll(':', ''), 'hex');
}

export function frame(command: number, argument: Buffer, header: Header = {}): Buffer {
  const { to = GATE, from = HOST, shelf = 7, slot = 0, tag = 0x0102_0304, version = 1, flags = 0 } = header;
  const middle = Buffer.from([0x88, 0xa2, version * 16 + flags, 0, shelf >> 8, shelf & 255, slot, command, 0, 0, 0, 0]);
  middle.writeUInt32BE(tag, 8);
  return Buffer.concat([mac(to), mac(from), middle, argument]);
}

export interface Ata {
  readonly command: number;
  readonly lba?: number;
  readonly sectors?: number;
  readonly flags?: number;
  readonly data?: Buffer;
}

export function ata({ command, lba = 0, sectors = 0, flags = 0, data = Buffer.alloc(0) }: Ata, header?: Header): Buffer {
  const place = Buffer.alloc(8);
  place.writeBigUInt64LE(BigInt(lba));
  const argument = Buffer.from([flags, 0, sectors, command, ...place.subarray(0, 6), 0, 0]);
  return frame(0, Buffer.concat([argument, data]), header);
}

/** As Linux sends them: 48 bits, flag E, and flag W for a write. */
export function readSectors(lba: number, sectors: number, header?: Header): Buffer {
  return ata({ command: 0x24, lba, sectors, flags: 0x40 }, header);
}

export function writeSectors(lba: number, data: Buffer, header?: Header): Buffer {
  return ata({ command: 0x34, lba, sectors: data.length / 512, flags: 0x41, data }, header);
}

export function config(verb: number, text = '', header?: Header): Buffer {
  const string = Buffer.from(text, 'latin1');
  return frame(1, Buffer.concat([Buffer.from([0, 0, 0, 0, 0, verb, string.length >> 8, string.length & 255]), string]), header);
}

export function mask(verb: number, directives: readonly (readonly [number, string])[], header?: Header): Buffer {
  const list = directives.map(([what, address]) => Buffer.concat([Buffer.from([0, what]), mac(address)]));
  return frame(2, Buffer.concat([Buffer.from([0, verb, 0, directives.length]), ...list]), header);
}

export function reserve(verb: number, addresses: readonly string[], header?: Header): Buffer {
  return frame(3, Buffer.concat([Buffer.from([verb, addresses.length]), ...addresses.map(mac)]), header);
}

export interface Reply {
  readonly to: string;
  readonly from: string;
  /** `R` and `E` if these flags are set. */
  readonly flags: string;
  readonly error: number;
  readonly address: string;
  readonly command: number;
  readonly tag: number;
  readonly argument: Buffer;
}

export function replyIn(bytes: Buffer): Reply {
  const text = (at: number): string => bytes.toString('hex', at, at + 6).replace(/(..)(?=.)/g, '$1:');
  const flags = bytes[14]!;
  if (bytes.readUInt16BE(12) !== 0x88a2 || flags >> 4 !== 1) throw new Error(`No frame of AoE: ${bytes.toString('hex', 0, 24)}`);
  return {
    to: text(0),
    from: text(6),
    flags: `${(flags & 8) === 0 ? '' : 'R'}${(flags & 4) === 0 ? '' : 'E'}`,
    error: bytes[15]!,
    address: `${bytes.readUInt16BE(16)}.${bytes[18]!}`,
    command: bytes[19]!,
    tag: bytes.readUInt32BE(20),
    argument: bytes.subarray(24),
  };
}

/** Status, error and data of an answer to an ATA command. */
export function ataOf({ argument }: Reply): { readonly status: number; readonly error: number; readonly data: Buffer } {
  return { status: argument[3]!, error: argument[1]!, data: argument.subarray(12) };
}

export function configOf({ argument }: Reply): { readonly buffers: number; readonly sectors: number; readonly text: string } {
  return { buffers: argument.readUInt16BE(0), sectors: argument[4]!, text: argument.toString('latin1', 8, 8 + argument.readUInt16BE(6)) };
}

export function maskOf({ argument }: Reply): { readonly error: number; readonly macs: readonly string[] } {
  const macs = Array.from({ length: argument[3]! }, (_, index) => argument.toString('hex', 6 + 8 * index, 12 + 8 * index));
  return { error: argument[2]!, macs: macs.map((one) => one.replace(/(..)(?=.)/g, '$1:')) };
}

export function reservedOf({ argument }: Reply): readonly string[] {
  const macs = Array.from({ length: argument[1]! }, (_, index) => argument.toString('hex', 2 + 6 * index, 8 + 6 * index));
  return macs.map((one) => one.replace(/(..)(?=.)/g, '$1:'));
}
