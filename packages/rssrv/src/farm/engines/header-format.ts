// The bytes of the header of a shared disk: its first MiB, outside of the file system. Pure. Each structure is one frame with a checksum.
// Invariants: a partly written frame never counts as a whole frame; each server writes only its own slots and its own note.

import { createHash } from 'node:crypto';
import { accepts, checked, list, object, type Of, orNull, text, whole } from '@rsio/base/lib/shape';
import { NOTE, RECORD } from '../farm-record.ts';
import { OWNERS_MAX } from '@rsio/common/config/schema/limits';

// The header of a disk:
//
//   0 KiB            table: the id of the disk, the servers, the first record; written once, by prepareDisk
//   64 KiB + 60i     server i: slot 0 (28 KiB) and slot 1 (28 KiB) of its register, then its note (4 KiB)
//   1,024 KiB        the file system of the pool
//
//   frame: magic 8 | id of the disk 16 | kind 4 | server 4 | sequence 8 | length 4 | 0 4 | SHA-256 of the rest 32 | JSON text

/** All structures begin at a multiple of this size, which is a multiple of the sector size of every usual disk. */
export const BLOCK_BYTES = 4_096;
export const HEADER_BYTES = 1_048_576;
export const TABLE_BYTES = 65_536;
export const SLOT_BYTES = 28_672;
export const SLOTS = 2;
export const NOTE_BYTES = 4_096;
const SERVER_BYTES = SLOTS * SLOT_BYTES + NOTE_BYTES;

const MAGIC = Buffer.from('RSIOFARM', 'latin1');
const [ID_AT, KIND_AT, SERVER_AT, SEQUENCE_AT, LENGTH_AT, CHECKSUM_AT, TEXT_AT] = [8, 24, 28, 32, 40, 48, 80];
const [ID_BYTES, CHECKSUM_BYTES] = [16, 32];
export const KIND = { table: 1, register: 2, note: 3 } as const;

const number = whole(0, Number.MAX_SAFE_INTEGER);
const PROPOSED = object({ by: whole(-1, OWNERS_MAX - 1), record: RECORD });
/** `writer` names the process that has written the register or the note. */
const REGISTER = object({
  writer: text(),
  decided: orNull(PROPOSED),
  base: number,
  promised: number,
  accepted: number,
  value: orNull(PROPOSED),
});
const POSTED = object({ writer: text(), note: NOTE });
const TABLE = object({
  servers: checked(list(text()), (value) =>
    value.length >= 1 && value.length <= OWNERS_MAX && new Set(value).size === value.length ? null : 'is not a list of different servers',
  ),
  first: orNull(RECORD),
});
export type StoredRegister = Of<typeof REGISTER>;
export type Table = Of<typeof TABLE>;
export const isRegister = accepts(REGISTER, 'exactly');
export const isPosted = accepts(POSTED, 'exactly');
export const isTable = accepts(TABLE, 'exactly');

export interface Place {
  /** Id of the disk, 16 bytes as hexadecimal text. */
  readonly disk: string;
  readonly kind: (typeof KIND)[keyof typeof KIND];
  /** Index of the server that writes the frame; 0 for the table. */
  readonly server: number;
}

/** `blank`: never written. `torn`: partly written, damaged, or not a frame of this place. */
export type Frame = 'blank' | 'torn' | { readonly disk: string; readonly sequence: number; readonly value: unknown };

export function slotAt(server: number, slot: number): number {
  return TABLE_BYTES + server * SERVER_BYTES + slot * SLOT_BYTES;
}

export function noteAt(server: number): number {
  return slotAt(server, SLOTS);
}

/** Returns the frame of a JSON text, filled with zeros to whole blocks; null if it is longer than `roomBytes`. */
export function encodeFrame({ disk, kind, server }: Place, sequence: number, json: string, roomBytes: number): Buffer | null {
  const content = Buffer.from(json);
  const length = TEXT_AT + content.length;
  if (length > roomBytes) return null;
  const bytes = Buffer.alloc(Math.ceil(length / BLOCK_BYTES) * BLOCK_BYTES);
  MAGIC.copy(bytes);
  bytes.write(disk, ID_AT, ID_BYTES, 'hex');
  bytes.writeUInt32LE(kind, KIND_AT);
  bytes.writeUInt32LE(server, SERVER_AT);
  bytes.writeBigUInt64LE(BigInt(sequence), SEQUENCE_AT);
  bytes.writeUInt32LE(content.length, LENGTH_AT);
  content.copy(bytes, TEXT_AT);
  checksum(bytes, content.length).copy(bytes, CHECKSUM_AT);
  return bytes;
}

/** Decodes the frame at the beginning of `bytes`. If `disk` of the place is empty, the frame may be of any disk. */
export function decodeFrame(bytes: Buffer, { disk, kind, server }: Place): Frame {
  if (!hasMagic(bytes)) return bytes.subarray(0, TEXT_AT).every((byte) => byte === 0) ? 'blank' : 'torn';
  const length = bytes.readUInt32LE(LENGTH_AT);
  if (TEXT_AT + length > bytes.length) return 'torn';
  if (!checksum(bytes, length).equals(bytes.subarray(CHECKSUM_AT, CHECKSUM_AT + CHECKSUM_BYTES))) return 'torn';
  const id = bytes.toString('hex', ID_AT, ID_AT + ID_BYTES);
  const isHere = (disk === '' || disk === id) && kind === bytes.readUInt32LE(KIND_AT) && server === bytes.readUInt32LE(SERVER_AT);
  const sequence = Number(bytes.readBigUInt64LE(SEQUENCE_AT));
  if (!isHere || !Number.isSafeInteger(sequence)) return 'torn';
  return { disk: id, sequence, value: parsed(bytes.toString('utf8', TEXT_AT, TEXT_AT + length)) };
}

/** Returns undefined for a text that is not JSON. No shape accepts it. */
function parsed(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return undefined;
  }
}

export function hasMagic(bytes: Buffer): boolean {
  return bytes.subarray(0, MAGIC.length).equals(MAGIC);
}

function checksum(bytes: Buffer, length: number): Buffer {
  const hash = createHash('sha256').update(bytes.subarray(0, CHECKSUM_AT));
  return hash.update(bytes.subarray(TEXT_AT, TEXT_AT + length)).digest();
}
