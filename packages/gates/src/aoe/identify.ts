// What IDENTIFY DEVICE says about a volume. Pure. Invariant: the device announces exactly the commands that ata.ts executes. The device has
// no write cache, because hosts of AoE do not flush one.

import { createHash } from 'node:crypto';
import { SECTOR_BYTES } from './wire.ts';

const LBA28_SECTORS_MAX = 0x0fff_ffff;
const WORD = {
  SERIAL: 10,
  FIRMWARE: 23,
  MODEL: 27,
  CAPABILITIES: 49,
  VALID: 53,
  SECTORS28: 60,
  STANDARDS: 80,
  COMMANDS: 82,
  ENABLED: 85,
} as const;
const WORD_MORE = { SECTORS48: 100, SECTOR_SIZES: 106, NAME: 108, CHECKSUM: 255 } as const;
const CHARS = { SERIAL: 20, FIRMWARE: 8, MODEL: 40 } as const;
const LBA_AND_DMA = 0x0300;
/** FLUSH CACHE, FLUSH CACHE EXT and addresses of 48 bits. */
const COMMANDS = 0x3400;
/** In words that have it, this bit says that the word is valid. */
const VALID = 0x4000;
const WORLD_WIDE_NAME = 0x0100;

export interface Identity {
  readonly id: string;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
}

/** Writes 512 bytes to `out` at `at`. */
export function writeIdentity(out: Buffer, at: number, { id, sizeBytes, blockSizeBytes }: Identity, version: string): void {
  const words = out.subarray(at, at + SECTOR_BYTES).fill(0);
  const put = (word: number, value: number): number => words.writeUInt16LE(value, 2 * word);
  const sectors = Math.floor(sizeBytes / SECTOR_BYTES);
  const hash = createHash('sha256').update(id).digest();
  putText(words, WORD.SERIAL, CHARS.SERIAL, hash.toString('hex'));
  putText(words, WORD.FIRMWARE, CHARS.FIRMWARE, version);
  putText(words, WORD.MODEL, CHARS.MODEL, 'RSIO gate');
  put(WORD.CAPABILITIES, LBA_AND_DMA);
  put(WORD.CAPABILITIES + 1, VALID);
  put(WORD.VALID, 0);
  words.writeUInt32LE(Math.min(sectors, LBA28_SECTORS_MAX), 2 * WORD.SECTORS28);
  // ATA/ATAPI-4 to 7.
  put(WORD.STANDARDS, 0x00f0);
  put(WORD.COMMANDS + 1, VALID | COMMANDS);
  put(WORD.COMMANDS + 2, VALID | WORLD_WIDE_NAME);
  put(WORD.ENABLED + 1, COMMANDS);
  put(WORD.ENABLED + 2, VALID | WORLD_WIDE_NAME);
  words.writeUInt32LE(sectors % 2 ** 32, 2 * WORD_MORE.SECTORS48);
  words.writeUInt32LE(Math.floor(sectors / 2 ** 32), 2 * WORD_MORE.SECTORS48 + 4);
  // The number of sectors in a block, as a power of 2.
  put(WORD_MORE.SECTOR_SIZES, VALID | 0x2000 | Math.log2(Math.max(1, blockSizeBytes / SECTOR_BYTES)));
  // A locally assigned name (NAA 3).
  for (let word = 0; word < 4; word++) put(WORD_MORE.NAME + word, hash.readUInt16BE(2 * word));
  put(WORD_MORE.NAME, 0x3000 | (hash.readUInt16BE(0) & 0x0fff));
  words[2 * WORD_MORE.CHECKSUM] = 0xa5;
  let sum = 0;
  for (const byte of words) sum += byte;
  words[2 * WORD_MORE.CHECKSUM + 1] = -sum & 0xff;
}

/** In each word of a text, the first character is the high byte. */
function putText(words: Buffer, word: number, chars: number, text: string): void {
  const bytes = Buffer.from(text.padEnd(chars).slice(0, chars), 'latin1');
  for (let at = 0; at < chars; at++) words[2 * word + (at ^ 1)] = bytes[at] ?? 0x20;
}
