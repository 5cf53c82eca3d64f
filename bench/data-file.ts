// The file that both servers serve: every block begins with its number and goes on with bytes that do not repeat from block to block.
// It is synced, so that no write-back runs during the measuring, and read once, so that it is cached.

import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { FILE_BYTES, MARKED_BLOCK_BYTES } from './workload.ts';

const CHUNK_BYTES = 4 * 1024 * 1024;

/** The 8 bytes with which block `number` begins. */
export function mark(bytes: Buffer, offset: number, number: number): void {
  bytes.writeUInt32BE(0, offset);
  bytes.writeUInt32BE(number, offset + 4);
}

export function isMarked(bytes: Buffer, offset: number, number: number): boolean {
  return bytes.readUInt32BE(offset) === 0 && bytes.readUInt32BE(offset + 4) === number;
}

export function makeDataFile(path: string): void {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (let at = 0; at < CHUNK_BYTES; at += 4) chunk.writeInt32LE(Math.imul(at, 0x9e3779b1), at);
  const file = openSync(path, 'wx+', 0o600);
  try {
    for (let at = 0; at < FILE_BYTES; at += CHUNK_BYTES) {
      for (let block = 0; block < CHUNK_BYTES; block += MARKED_BLOCK_BYTES) mark(chunk, block, (at + block) / MARKED_BLOCK_BYTES);
      writeSync(file, chunk, 0, CHUNK_BYTES, at);
    }
    fsyncSync(file);
    for (let at = 0; at < FILE_BYTES; at += CHUNK_BYTES) readSync(file, chunk, 0, CHUNK_BYTES, at);
  } finally {
    closeSync(file);
  }
}
