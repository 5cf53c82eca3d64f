// Reads the open files of a volume or snapshot as one content, and finds the ranges in which two contents differ. The layout of a volume
// says which file has which part. Invariants: the offset of a range is an offset in the volume, and ranges are in ascending order. A file
// is compared only with a clone of itself, which the caller must ensure.

import { type FileHandle, open } from 'node:fs/promises';
import { RsError } from '@rsio/base/lib/errors';
import { LayoutMap, type LayoutShape } from '../../storage/files/layout-map.ts';
import type { Layout } from '../../pools/disk/manifest.ts';
import type { ChangedData, CopyRange, ReadFrom } from './changed-data.ts';
import { STRIPE_CHUNKS_AT_ONCE, STRIPE_COMPARED_BYTES } from '../limits.ts';

export class VolumeContent implements ReadFrom {
  readonly files: readonly FileHandle[];
  /** Says which part of the volume is in which file; null if the volume has one file. */
  readonly map: LayoutMap | null;

  constructor(files: readonly FileHandle[], map: LayoutMap | null = null) {
    this.files = files;
    this.map = map;
  }

  /** Opens the files of a layout, which `paths` lists in the order of the layout. The caller closes the returned content. */
  static async open(paths: readonly string[], layout: Layout): Promise<VolumeContent> {
    const files: FileHandle[] = [];
    try {
      for (const path of paths) files.push(await open(path, 'r'));
      return new VolumeContent(files, mapOf(layout));
    } catch (thrown) {
      for (const file of files) await file.close();
      throw thrown;
    }
  }

  async close(): Promise<void> {
    for (const file of this.files) await file.close();
  }

  /** Throws E_VOLUME if a file lacks content before `endBytes`, because it was truncated. A hole in its place would be copied as zeros. */
  async checkLength(endBytes: number): Promise<void> {
    for (const [part, file] of this.files.entries()) {
      const wantedBytes = this.map === null ? endBytes : this.map.bytesBefore(part, endBytes);
      const { size } = await file.stat();
      if (size < wantedBytes)
        throw new RsError('E_VOLUME', `A file that is copied has ${size} bytes, but ${wantedBytes} belong to it: restore its content`);
    }
  }

  /** Reads at least one byte, except beyond the end of a file. */
  async read(buffer: Buffer, offset: number, lengthBytes: number, positionBytes: number): Promise<{ readonly bytesRead: number }> {
    if (this.map === null) return this.files[0]!.read(buffer, offset, lengthBytes, positionBytes);
    this.map.seek(positionBytes);
    const { part, partPositionBytes, runBytes } = this.map;
    const wantedBytes = Math.min(lengthBytes, runBytes);
    return this.files[part]!.read(buffer, offset, wantedBytes, partPositionBytes);
  }
}

/**
 * Returns true if both states have their files in the same pools, so that each file is a clone of its counterpart. `next` may have more
 * files than `base` if a concat has grown.
 */
export function isComparable(base: Layout, next: Layout): boolean {
  if (base.kind === 'simple' || next.kind === 'simple') return base.kind === next.kind;
  const chunks = [base, next].map((layout) => (layout.kind === 'stripe' ? layout.chunkBytes : null));
  return chunks[0] === chunks[1] && base.parts.every(({ poolId }, index) => poolId === next.parts[index]?.poolId);
}

function mapOf(layout: Layout): LayoutMap | null {
  return layout.kind === 'simple' ? null : new LayoutMap(shapeOf(layout));
}

function shapeOf(layout: Exclude<Layout, { kind: 'simple' }>): LayoutShape {
  return { chunkBytes: layout.kind === 'stripe' ? layout.chunkBytes : null, parts: layout.parts };
}

/**
 * Yields the ranges of `next` that differ from `base`, or all data of `next` if `base` is null. If a concat has grown, `base` lacks a file
 * of `next`; the missing file counts as zeros.
 */
export async function* contentRanges(
  changes: ChangedData,
  base: VolumeContent | null,
  next: VolumeContent,
  fromBytes: number,
  toBytes: number,
): AsyncGenerator<CopyRange> {
  const { map } = next;
  const inFile = (part: number, from: number, to: number): AsyncIterable<CopyRange> =>
    changes.ranges(base?.files[part]?.fd ?? null, next.files[part]!.fd, from, to);
  if (map === null) {
    yield* inFile(0, fromBytes, toBytes);
    return;
  }
  for (let at = fromBytes; at < toBytes; ) {
    if (map.chunkBytes === null) {
      map.seek(at);
      const { part, partPositionBytes, runBytes } = map;
      const end = Math.min(toBytes, at + runBytes);
      const shift = at - partPositionBytes;
      for await (const { offsetBytes, ...range } of inFile(part, partPositionBytes, end - shift))
        yield { ...range, offsetBytes: offsetBytes + shift };
      at = end;
      continue;
    }
    const end = Math.min(toBytes, at + comparedBytes(map.chunkBytes));
    const pieces: CopyRange[] = [];
    for (let part = 0; part < map.partCount; part++) {
      const [from, to] = [map.bytesBefore(part, at), map.bytesBefore(part, end)];
      if (from < to) for await (const range of inFile(part, from, to)) addPieces(pieces, map, part, range);
    }
    yield* joined(pieces);
    at = end;
  }
}

/**
 * For a volume of several files, returns the number of bytes that are compared at a time. The number is large, so that extents are
 * requested rarely, but STRIPE_CHUNKS_AT_ONCE and STRIPE_COMPARED_BYTES bound the number of pieces.
 */
function comparedBytes(chunkBytes: number): number {
  return Math.max(chunkBytes, Math.min(chunkBytes * STRIPE_CHUNKS_AT_ONCE, STRIPE_COMPARED_BYTES));
}

/** Converts a range of one file into pieces of the volume, and adds them to `pieces`. */
function addPieces(pieces: CopyRange[], map: LayoutMap, part: number, { offsetBytes, lengthBytes, isHole }: CopyRange): void {
  const chunkBytes = map.chunkBytes ?? lengthBytes;
  for (let at = offsetBytes; at < offsetBytes + lengthBytes; ) {
    const bytes = Math.min(chunkBytes - (at % chunkBytes), offsetBytes + lengthBytes - at);
    pieces.push({ offsetBytes: map.volumeOffset(part, at), lengthBytes: bytes, isHole });
    at += bytes;
  }
}

/** Sorts the pieces by their offsets, and joins neighbours. */
function joined(pieces: readonly CopyRange[]): readonly CopyRange[] {
  const all: CopyRange[] = [];
  for (const piece of pieces.toSorted((a, b) => a.offsetBytes - b.offsetBytes)) {
    const last = all.at(-1);
    if (last?.isHole === piece.isHole && last.offsetBytes + last.lengthBytes === piece.offsetBytes)
      all[all.length - 1] = { ...last, lengthBytes: last.lengthBytes + piece.lengthBytes };
    else all.push(piece);
  }
  return all;
}
