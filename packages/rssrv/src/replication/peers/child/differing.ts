// Finds the parts of a range that differ from the source, by checksums. Pure. Invariant: a part is left out only if the source has sent a
// checksum for it, and the bytes here have the same one. Rules: T11.

import { createHash } from 'node:crypto';
import { MIRROR_SUM_BYTES } from '@rsio/protocol/wire/limits';
import type { Range } from './pull-plan.ts';

/**
 * Returns the parts of `own` that differ, in order, as ranges of at most `partBytes`. `sums`: the first MIRROR_SUM_BYTES of the SHA-256 of
 * each `pieceBytes` at the source, one for each; null if the source cannot tell, so that everything differs.
 */
export function differing(own: Buffer, sums: Buffer | null, pieceBytes: number, partBytes: number): readonly Range[] {
  const pieces = Math.ceil(own.length / pieceBytes);
  const parts: Range[] = [];
  for (let piece = 0; piece < pieces; piece++) {
    const offsetBytes = piece * pieceBytes;
    const bytes = own.subarray(offsetBytes, offsetBytes + pieceBytes);
    const sum = createHash('sha256').update(bytes).digest();
    if (sums?.compare(sum, 0, MIRROR_SUM_BYTES, piece * MIRROR_SUM_BYTES, (piece + 1) * MIRROR_SUM_BYTES) === 0) continue;
    const last = parts.at(-1);
    const isNext =
      last !== undefined && last.offsetBytes + last.lengthBytes === offsetBytes && last.lengthBytes + bytes.length <= partBytes;
    if (isNext) parts[parts.length - 1] = { ...last, lengthBytes: last.lengthBytes + bytes.length };
    else parts.push({ offsetBytes, lengthBytes: bytes.length });
  }
  return parts;
}
