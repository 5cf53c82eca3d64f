// Finds the ranges that differ between two files, one of which is a clone of the other, from their extents. Pure. Invariant: a range counts
// as unchanged only if both files read as zeros in this range, or if the files share an extent there. Files share an extent if their
// extents have the same offset and physical address, and the flag for shared extents. Every other range counts as changed. Rules: N5.

import type { MappedExtent } from '../../pools/disk/data-file.ts';

/** Extents of a file in the order of their offsets. A range without an extent is a hole. */
export type FileMap = readonly MappedExtent[];

const LAST = 0x1;
const UNWRITTEN = 0x800;
const SHARED = 0x2000;
/**
 * Flags of extents whose physical address identifies the content. An extent with any other flag may be compressed, encrypted, stored in
 * metadata, or not yet allocated.
 */
const PLAIN_FLAGS = LAST | UNWRITTEN | SHARED;

/** Pairs in one flat list: length in bytes, then CHANGED or UNCHANGED. Two neighbours never have the same state. */
export type ChangedPairs = number[];

export const CHANGED = 1;
export const UNCHANGED = 0;

/** The content of a file up to `endBytes`: zeros, a shared extent, or other data. */
interface Piece {
  endBytes: number;
  kind: 'zero' | 'shared' | 'own';
  /** For a shared extent: its physical address minus its offset in the file. */
  shift: number;
}

export function changedPairs(before: FileMap, after: FileMap, fromBytes: number, toBytes: number): ChangedPairs {
  const pairs: ChangedPairs = [];
  const [old, now] = [new FileWalk(before), new FileWalk(after)];
  for (let position = fromBytes; position < toBytes; ) {
    const [a, b] = [old.at(position), now.at(position)];
    const end = Math.min(a.endBytes, b.endBytes, toBytes);
    const isSame = (a.kind === 'zero' && b.kind === 'zero') || (a.kind === 'shared' && b.kind === 'shared' && a.shift === b.shift);
    addPair(pairs, end - position, isSame ? UNCHANGED : CHANGED);
    position = end;
  }
  return pairs;
}

export function addPair(pairs: ChangedPairs, lengthBytes: number, state: number): void {
  if (pairs.at(-1) === state) pairs[pairs.length - 2] = pairs[pairs.length - 2]! + lengthBytes;
  else pairs.push(lengthBytes, state);
}

/**
 * Converts pairs in bytes to pairs in sectors. The range must begin at a sector. A sector with any changed byte has changed. Leaves out an
 * incomplete, unchanged sector at the end.
 */
export function inSectors(pairs: ChangedPairs, sectorBytes: number): ChangedPairs {
  const sectors: ChangedPairs = [];
  let [end, done] = [0, 0];
  for (let index = 0; index < pairs.length; index += 2) {
    end += pairs[index]!;
    const isChanged = pairs[index + 1] === CHANGED;
    const upTo = isChanged ? Math.ceil(end / sectorBytes) : Math.floor(end / sectorBytes);
    if (upTo > done) addPair(sectors, upTo - done, isChanged ? CHANGED : UNCHANGED);
    done = Math.max(done, upTo);
  }
  return sectors;
}

/** Walks through a file from lower to higher offsets. */
class FileWalk {
  private readonly map: FileMap;
  private index = 0;
  private readonly piece: Piece = { endBytes: 0, kind: 'zero', shift: 0 };

  constructor(map: FileMap) {
    this.map = map;
  }

  /** Returns the piece at the position. The next call changes the returned object. */
  at(position: number): Piece {
    const { map, piece } = this;
    while (this.index < map.length && endOf(map[this.index]!) <= position) this.index++;
    const extent = map[this.index];
    if (extent === undefined || extent.offsetBytes > position) {
      piece.kind = 'zero';
      piece.endBytes = extent?.offsetBytes ?? Number.POSITIVE_INFINITY;
      return piece;
    }
    const { offsetBytes, physicalBytes, flags } = extent;
    const next = map[this.index + 1];
    piece.endBytes = endOf(extent);
    piece.shift = physicalBytes - offsetBytes;
    piece.kind = kindOf(extent);
    // Overlapping extents contradict each other. The range therefore counts as changed.
    if (next !== undefined && next.offsetBytes < piece.endBytes) piece.kind = 'own';
    if ((flags & ~PLAIN_FLAGS) !== 0) piece.kind = 'own';
    return piece;
  }
}

function endOf({ offsetBytes, lengthBytes }: MappedExtent): number {
  return offsetBytes + lengthBytes;
}

function kindOf({ physicalBytes, flags }: MappedExtent): Piece['kind'] {
  if ((flags & UNWRITTEN) !== 0) return 'zero';
  // Address 0 means that the extent has no address. An address above the safe integers is not exact as a number.
  const isPlace = physicalBytes > 0 && Number.isSafeInteger(physicalBytes);
  return (flags & SHARED) !== 0 && isPlace ? 'shared' : 'own';
}
