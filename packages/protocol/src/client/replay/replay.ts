// One replay of a log (docs/PROTOCOL.md, R2 i): turns the log into requests within the protocol's limits. The order of these requests does
// not matter, because no two of them share a sector. Invariant: the log does not change during a replay. An interrupted replay is
// discarded, and the next one begins with the first piece. Rules: L3.

import { counted } from '@rsio/base/lib/assert';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SEGMENT_BYTES, WIDE_COUNT_MAX } from '../../link/limits.ts';
import { WIDE_UNIT_SECTORS } from '../../wire/limits.ts';
import { FLAG, OP } from '../../wire/frames.ts';
import { BLOCK_SECTORS, type ReplayBlocks } from './replay-blocks.ts';
import type { ReplayRanges } from './replay-ranges.ts';
import type { Request } from '../requests/request.ts';

export class Replay {
  readonly incarnation: string;
  sentBytes = 0;
  private readonly blocks: ReplayBlocks;
  private readonly ranges: ReplayRanges;
  private readonly positions: Float64Array;
  private positionAt = 0;
  private sectorAt = 0;
  private rangeAt = 0;
  /** Number of sectors of the current range that are covered by the pieces produced so far. */
  private rangeDone = 0;
  private out = 0;

  constructor(blocks: ReplayBlocks, ranges: ReplayRanges, life: string) {
    this.incarnation = life;
    this.blocks = blocks;
    this.ranges = ranges;
    this.positions = blocks.positions();
    this.skip();
  }

  get hasNext(): boolean {
    return this.rangeAt < this.ranges.count || this.positionAt < this.positions.length;
  }

  get isOver(): boolean {
    return this.out === 0 && !this.hasNext;
  }

  /**
   * Turns `request` into the next piece. The buffer of the request must have room for SEGMENT_BYTES, and must not be reused before the
   * answer arrives. The caller has checked `hasNext`.
   */
  next(request: Request): void {
    this.out++;
    if (this.rangeAt < this.ranges.count) this.nextRange(request);
    else this.nextData(request);
  }

  answered(): void {
    this.out = counted(this.out - 1, 'replayed pieces in flight');
  }

  private nextRange(request: Request): void {
    const range = this.ranges.all[this.rangeAt]!;
    const lba = range.begin + this.rangeDone;
    const left = range.end - lba;
    const wide = Math.min(Math.floor(left / WIDE_UNIT_SECTORS), WIDE_COUNT_MAX);
    request.op = range.op;
    request.flags = wide > 0 ? range.flags | FLAG.WIDE : range.flags;
    request.lba = lba;
    request.count = wide > 0 ? wide : left;
    request.bodyBytes = 0;
    const sectors = wide > 0 ? wide * WIDE_UNIT_SECTORS : left;
    this.rangeDone += sectors;
    if (sectors < left) return;
    this.rangeAt++;
    this.rangeDone = 0;
  }

  private nextData(request: Request): void {
    request.op = OP.WRITE;
    request.flags = 0;
    request.lba = this.positions[this.positionAt]! * BLOCK_SECTORS + this.sectorAt;
    request.bufferOffset = 0;
    let bytes = 0;
    // Extend the piece as long as the next live sector is adjacent.
    for (;;) {
      const position = this.positions[this.positionAt]!;
      const room = (SEGMENT_BYTES - bytes) / SECTOR_BYTES;
      const upTo = Math.min(this.blocks.seek(position, this.sectorAt, false), this.sectorAt + room);
      this.blocks.read(position, this.sectorAt, upTo, request.buffer, bytes);
      bytes += (upTo - this.sectorAt) * SECTOR_BYTES;
      this.sectorAt = upTo;
      if (bytes === SEGMENT_BYTES || upTo < BLOCK_SECTORS) break;
      this.sectorAt = 0;
      this.positionAt++;
      if (this.positions[this.positionAt] !== position + 1 || this.blocks.seek(position + 1, 0, true) !== 0) break;
    }
    request.count = bytes / SECTOR_BYTES;
    request.bodyBytes = bytes;
    this.sentBytes += bytes;
    this.skip();
  }

  /** Advances to the next live sector. */
  private skip(): void {
    for (; this.positionAt < this.positions.length; this.positionAt++) {
      this.sectorAt = this.blocks.seek(this.positions[this.positionAt]!, this.sectorAt, true);
      if (this.sectorAt < BLOCK_SECTORS) return;
      this.sectorAt = 0;
    }
  }
}
