// Turns the byte extents that a file system reports into the sector extents of the protocol.
// Invariant: a sector is called a hole only when all of it is one; the pairs have no gap, no empty and no equal neighbours.

import { SECTOR_BYTES } from '@rsio/common/lib/limits';
import { EXTENT } from '@rsio/protocol/wire/messages';
import type { ExtentState } from './backend.ts';

/** Appends an extent, joining it with an equal one before it. */
function append(pairs: number[], sectors: number, state: ExtentState): void {
  if (sectors <= 0) return;
  const last = pairs.length - 1;
  if (last > 0 && pairs[last] === state) pairs[last - 1] = (pairs[last - 1] ?? 0) + sectors;
  else pairs.push(sectors, state);
}

/**
 * `found`: pairs (bytes, 0 data or 1 hole) from `positionBytes` on, which together may cover less or more than `lengthBytes`.
 * Answers pairs (sectors, EXTENT) from the same position, at most `lengthBytes`, cut after the last whole sector known;
 * nothing known: one DATA extent over all of it. `positionBytes` and `lengthBytes` are multiples of a sector.
 */
export function extentPairs(positionBytes: number, lengthBytes: number, found: readonly number[]): number[] {
  const pairs: number[] = [];
  const endBytes = positionBytes + lengthBytes;
  let reachedSector = positionBytes / SECTOR_BYTES;
  let atBytes = positionBytes;
  for (let index = 0; index + 1 < found.length; index += 2) {
    const nextBytes = Math.min(endBytes, atBytes + (found[index] ?? 0));
    if (found[index + 1] === EXTENT.HOLE) {
      const holeStart = Math.max(reachedSector, Math.ceil(atBytes / SECTOR_BYTES));
      const holeEnd = Math.floor(nextBytes / SECTOR_BYTES);
      if (holeEnd > holeStart) {
        append(pairs, holeStart - reachedSector, EXTENT.DATA);
        append(pairs, holeEnd - holeStart, EXTENT.HOLE);
        reachedSector = holeEnd;
      }
    }
    atBytes = nextBytes;
  }
  append(pairs, Math.floor(atBytes / SECTOR_BYTES) - reachedSector, EXTENT.DATA);
  if (pairs.length === 0) pairs.push(lengthBytes / SECTOR_BYTES, EXTENT.DATA);
  return pairs;
}
