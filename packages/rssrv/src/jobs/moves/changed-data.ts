// Uses the extents of two clones of one volume to find the ranges in which the clones differ, and copies these ranges.
// snapshots/reads/changed-ranges.ts compares the extents. Invariants: each range that is not certainly unchanged is copied. A hole becomes
// a hole or zeros in the copy. Ranges are yielded in the order of their offsets.

import type { FileHandle } from 'node:fs/promises';
import { RsError } from '@rsio/base/lib/errors';
import type { MappedExtent, RangeCalls } from '../../pools/disk/data-file.ts';
import { CHANGED, changedPairs } from '../../snapshots/reads/changed-ranges.ts';
import { COPY_PIECE_BYTES, EXTENTS_AT_ONCE } from '../limits.ts';

export interface CopyRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** True if the range has no blocks, and reads as zeros. */
  readonly isHole: boolean;
}

/** Source of a copy: either an open file, or the open files of a volume. */
export interface ReadFrom {
  read(buffer: Buffer, offset: number, lengthBytes: number, positionBytes: number): Promise<{ readonly bytesRead: number }>;
}

export interface ChangedData {
  /**
   * Yields the ranges of `next` that differ from `base`, or all data of `next` if `base` is null. `base` and `next` are open descriptors.
   */
  ranges(base: number | null, next: number, fromBytes: number, toBytes: number): AsyncIterable<CopyRange>;
}

/** Called before each piece of a copy, with the size of the piece. If the function throws, the copy ends. */
export type BeforePiece = (bytes: number) => Promise<void>;

const UNWRITTEN = 0x800;

export function changedData(calls: RangeCalls): ChangedData {
  return {
    ranges: async function* (base, next, fromBytes, toBytes) {
      let position = fromBytes;
      while (position < toBytes) {
        const [before, after] = [
          base === null ? { extents: [], endBytes: toBytes } : await extentsOf(calls, base, position, toBytes),
          await extentsOf(calls, next, position, toBytes),
        ];
        const end = Math.min(before.endBytes, after.endBytes);
        // The file system reports no further extents before the end of the range, so the rest of the range counts as changed.
        if (end <= position) {
          yield { offsetBytes: position, lengthBytes: toBytes - position, isHole: false };
          return;
        }
        const pairs = changedPairs(before.extents, after.extents, position, end);
        let at = position;
        for (let index = 0; index < pairs.length; index += 2) {
          const lengthBytes = pairs[index] ?? 0;
          if (pairs[index + 1] === CHANGED) yield* piecesOf(after.extents, at, at + lengthBytes);
          at += lengthBytes;
        }
        position = end;
      }
    },
  };
}

/** Returns extents of a file, and the offset up to which the list of extents is complete. */
async function extentsOf(
  calls: RangeCalls,
  descriptor: number,
  fromBytes: number,
  toBytes: number,
): Promise<{ readonly extents: readonly MappedExtent[]; readonly endBytes: number }> {
  const extents = await calls.mapExtents(descriptor, fromBytes, toBytes - fromBytes, EXTENTS_AT_ONCE);
  const last = extents.at(-1);
  const isAll = extents.length < EXTENTS_AT_ONCE || last === undefined;
  return { extents, endBytes: isAll ? toBytes : Math.min(toBytes, last.offsetBytes + last.lengthBytes) };
}

/** Splits a range into data and holes. */
export function* piecesOf(extents: readonly MappedExtent[], fromBytes: number, toBytes: number): Generator<CopyRange> {
  let position = fromBytes;
  for (const { offsetBytes, lengthBytes, flags } of extents) {
    const [begin, end] = [Math.max(position, offsetBytes), Math.min(toBytes, offsetBytes + lengthBytes)];
    if (end <= begin || (flags & UNWRITTEN) !== 0) continue;
    if (begin > position) yield { offsetBytes: position, lengthBytes: begin - position, isHole: true };
    yield { offsetBytes: begin, lengthBytes: end - begin, isHole: false };
    position = end;
  }
  if (position < toBytes) yield { offsetBytes: position, lengthBytes: toBytes - position, isHole: true };
}

/** Copies ranges of one file to the same offsets of another file. */
export class RangeCopy {
  private readonly from: ReadFrom;
  private readonly to: FileHandle;
  private readonly punch: (to: number, offsetBytes: number, lengthBytes: number) => Promise<boolean>;
  private readonly buffer = Buffer.alloc(COPY_PIECE_BYTES);

  /** `punch` makes a hole in a file, or returns false if the file system cannot make holes. */
  constructor(from: ReadFrom, to: FileHandle, punch: (to: number, offsetBytes: number, lengthBytes: number) => Promise<boolean>) {
    this.from = from;
    this.to = to;
    this.punch = punch;
  }

  /**
   * Copies one range in pieces. Calls `before` before each piece, and `copied` after each piece with the offset at which the copied data
   * ends.
   */
  async copy({ offsetBytes, lengthBytes, isHole }: CopyRange, before: BeforePiece, copied: (endBytes: number) => void): Promise<void> {
    const endBytes = offsetBytes + lengthBytes;
    if (isHole) {
      await before(0);
      if (await this.punch(this.to.fd, offsetBytes, lengthBytes)) {
        copied(endBytes);
        return;
      }
    }
    for (let at = offsetBytes; at < endBytes; ) {
      const bytes = Math.min(COPY_PIECE_BYTES, endBytes - at);
      await before(bytes);
      if (isHole) this.buffer.fill(0, 0, bytes);
      else await this.readAll(at, bytes);
      await this.writeAll(at, bytes);
      at += bytes;
      copied(at);
    }
  }

  /** Fills the buffer. Throws E_VOLUME if the file ends before, because zeros must not take the place of lost data. */
  private async readAll(offsetBytes: number, lengthBytes: number): Promise<void> {
    for (let done = 0; done < lengthBytes; ) {
      const { bytesRead } = await this.from.read(this.buffer, done, lengthBytes - done, offsetBytes + done);
      if (bytesRead === 0) throw new RsError('E_VOLUME', `A file that is copied ends at ${offsetBytes + done} bytes: restore its content`);
      done += bytesRead;
    }
  }

  private async writeAll(offsetBytes: number, lengthBytes: number): Promise<void> {
    for (let done = 0; done < lengthBytes; ) {
      const { bytesWritten } = await this.to.write(this.buffer, done, lengthBytes - done, offsetBytes + done);
      done += bytesWritten;
    }
  }
}
