// A raw iSCSI initiator for tests: PDUs by hand, answers as plain objects. It shares nothing with the code of the gate.
// Source: RFC 7143, chapter 11.

import { createHash } from 'node:crypto';

export const HOST = 'iqn.2026-01.org.example:host';

export interface HostDigests {
  readonly header: boolean;
  readonly data: boolean;
}

/** A PDU of a target. */
export interface TargetPdu {
  readonly opcode: number;
  readonly flags: number;
  readonly head: Buffer;
  readonly data: Buffer;
  readonly tag: number;
}

/** CRC-32C, bit by bit. */
function checksum(bytes: Buffer): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f6_3b78;
  }
  return ~crc >>> 0;
}

function little(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export interface PduFields {
  readonly opcode: number;
  readonly flags?: number;
  readonly isImmediate?: boolean;
  readonly lun?: number;
  readonly tag?: number;
  /** Words of the header, by the number of their first byte. */
  readonly words?: Readonly<Record<number, number>>;
  readonly cdb?: readonly number[];
  readonly data?: Buffer;
  readonly ahs?: Buffer;
}

export function pdu(fields: PduFields, digests: HostDigests = { header: false, data: false }): Buffer {
  const { opcode, flags = 0x80, isImmediate = false, lun = 0, tag = 0, words = {}, cdb = [], data, ahs = Buffer.alloc(0) } = fields;
  const head = Buffer.alloc(48);
  head[0] = opcode | (isImmediate ? 0x40 : 0);
  head[1] = flags;
  head[4] = ahs.length / 4;
  head.writeUIntBE(data?.length ?? 0, 5, 3);
  head.writeUInt16BE(lun < 256 ? lun : 0x4000 + lun, 8);
  head.writeUInt32BE(tag, 16);
  for (const [at, value] of Object.entries(words)) head.writeUInt32BE(value >>> 0, Number(at));
  Buffer.from(cdb).copy(head, 32);
  const whole = Buffer.concat([head, ahs]);
  const parts: Buffer[] = [whole];
  if (digests.header) parts.push(little(checksum(whole)));
  if (data !== undefined && data.length > 0) {
    const padded = Buffer.concat([data, Buffer.alloc(-data.length & 3)]);
    parts.push(padded);
    if (digests.data) parts.push(little(checksum(padded)));
  }
  return Buffer.concat(parts);
}

/** Reads whole PDUs of a target. Throws if a digest is wrong. */
export function targetPdus(bytes: Buffer, digests: HostDigests = { header: false, data: false }): { pdus: TargetPdu[]; rest: Buffer } {
  const pdus: TargetPdu[] = [];
  let at = 0;
  for (;;) {
    if (bytes.length - at < 48) break;
    const dataBytes = bytes.readUIntBE(at + 5, 3);
    const dataAt = at + 48 + 4 * bytes[at + 4]! + (digests.header ? 4 : 0);
    const padded = dataBytes + (-dataBytes & 3);
    const end = dataAt + padded + (digests.data && dataBytes > 0 ? 4 : 0);
    if (bytes.length < end) break;
    const head = Buffer.from(bytes.subarray(at, at + 48));
    if (digests.header && bytes.readUInt32LE(dataAt - 4) !== checksum(bytes.subarray(at, dataAt - 4))) throw new Error('header digest');
    if (digests.data && dataBytes > 0 && bytes.readUInt32LE(end - 4) !== checksum(bytes.subarray(dataAt, end - 4)))
      throw new Error('data digest');
    const data = Buffer.from(bytes.subarray(dataAt, dataAt + dataBytes));
    pdus.push({ opcode: head[0]! & 0x3f, flags: head[1]!, head, data, tag: head.readUInt32BE(16) });
    at = end;
  }
  return { pdus, rest: Buffer.from(bytes.subarray(at)) };
}

export function textOf(pairs: Readonly<Record<string, string>>): Buffer {
  return Buffer.from(
    Object.entries(pairs)
      .map(([key, value]) => `${key}=${value}\0`)
      .join(''),
  );
}

export function keysOf(data: Buffer): Record<string, string> {
  const lines = data.toString().split('\0').filter(Boolean);
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

export interface LoginFields {
  readonly isid?: string;
  readonly tsih?: number;
  readonly stage: 0 | 1;
  /** The stage to go to. */
  readonly next?: 1 | 3;
  readonly keys: Readonly<Record<string, string>>;
  readonly cmdSn?: number;
}

export function loginPdu({ isid = '400001370000', tsih = 0, stage, next, keys, cmdSn = 1 }: LoginFields): Buffer {
  const bytes = pdu({
    opcode: 0x03,
    isImmediate: true,
    flags: (next === undefined ? 0 : 0x80 | next) | (stage << 2),
    tag: 7,
    words: { 24: cmdSn },
    data: textOf(keys),
  });
  bytes.write(isid, 8, 'hex');
  bytes.writeUInt16BE(tsih, 14);
  return bytes;
}

/** Response of CHAP. `algorithm`: 5 is MD5, 7 is SHA-256. */
export function chapResponse(algorithm: string, id: string, secret: string, challenge: string): string {
  const hash = createHash(algorithm === '5' ? 'md5' : 'sha256');
  const bytes = Buffer.concat([Buffer.from([Number(id)]), Buffer.from(secret), Buffer.from(challenge.slice(2), 'hex')]);
  return `0x${hash.update(bytes).digest('hex')}`;
}

export function read10(block: number, blocks: number): number[] {
  return [0x28, 0, ...bytesOf(block, 4), 0, ...bytesOf(blocks, 2), 0];
}

export function write10(block: number, blocks: number): number[] {
  return [0x2a, 0, ...bytesOf(block, 4), 0, ...bytesOf(blocks, 2), 0];
}

function bytesOf(value: number, count: number): number[] {
  return Array.from({ length: count }, (_, at) => Math.floor(value / 256 ** (count - 1 - at)) & 0xff);
}
