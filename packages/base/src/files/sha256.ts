// Computes the SHA-256 of a file, such as a backup or the system in a slot of an appliance. Invariant: the memory that this takes does not
// depend on the length of the file.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { HASHED_PIECE_BYTES } from './limits.ts';

/** Returns the SHA-256 in hexadecimal. `lengthBytes`: only this many bytes of the file count. `onRead`: told the length of each piece. */
export async function sha256Of(file: string, lengthBytes: number, onRead?: (bytes: number) => void): Promise<string> {
  const hash = createHash('sha256');
  const pieces = createReadStream(file, { end: lengthBytes - 1, highWaterMark: HASHED_PIECE_BYTES });
  for await (const bytes of pieces) {
    hash.update(bytes as Buffer);
    onRead?.((bytes as Buffer).length);
  }
  return hash.digest('hex');
}
