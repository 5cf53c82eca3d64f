// The replay log of one volume (docs/PROTOCOL.md, L1, L2, R2 i): every WRITE, ZERO and DISCARD that was answered and is not yet covered by
// a successful FLUSH, so that a client can restore them when the server's storage begins a new life. Memory is taken before a request is
// sent, never after; who waits for room, and what is sent when, is the attachment's. Invariants: what is in the log and what is reserved
// stay within its size (slabs: rounded up to one); the log's life changes only when everything in it was replayed in the new one.

import { assert } from '@rsio/common/lib/assert';
import { SECTOR_BYTES } from '@rsio/common/lib/limits';
import { SLOTS } from '../../wire/limits.ts';
import { REPLAY_BLOCK_BYTES, REPLAY_BLOCK_COST_BYTES, REPLAY_RANGES_MAX, REPLAY_RANGE_COST_BYTES } from './limits.ts';
import { FLAG, OP } from '../../wire/frames.ts';
import { sectorsOf } from '../../wire/header.ts';
import { Replay } from './replay.ts';
import { BLOCK_SECTORS, ReplayBlocks, type SlabPool } from './replay-blocks.ts';
import { ReplayRanges } from './replay-ranges.ts';
import type { LogTotal } from './log-total.ts';
import type { Request } from '../requests/request.ts';

/** Room that only requests with FUA may take, so that one in each slot can split a range of a full log. */
const FUA_RANGES = SLOTS;

/**
 * `taken`: it may be sent; `flush`: it must wait until a FLUSH has made room; `total`: all logs together have no room for it; `fua`: it never
 * fits, and may go with FUA.
 */
export type Room = 'taken' | 'flush' | 'total' | 'fua';

export class ReplayLog {
  readonly sizeBytes: number;
  /** The storage's life in which everything here was answered; null: nothing was open yet. */
  incarnation: string | null = null;
  reservedBytes = 0;
  /** Nothing here was submitted before this, monotonic ms; null: the log is empty. */
  sinceMs: number | null = null;
  /** When the last FLUSH was submitted that was answered OK: what had been answered by then is durable. Null: there was none. */
  flushedMs: number | null = null;
  private readonly blocks: ReplayBlocks;
  private readonly ranges = new ReplayRanges();
  private reservedRanges = 0;
  /** Grows with each FLUSH that is sent: what is answered later is younger than what that FLUSH covers. */
  private age = 1;
  /** Marks below this are of a lost session or life: they cover nothing. */
  private marksFrom = 1;
  private replay: Replay | null = null;
  private total: LogTotal | null;
  /** What `total` knows of this log. */
  private reportedBytes = 0;

  /** `total`: what this log and others may take together; null: there is no such bound. */
  constructor(sizeBytes: number, pool: SlabPool, total: LogTotal | null = null) {
    this.sizeBytes = sizeBytes;
    this.total = total;
    this.blocks = new ReplayBlocks(pool);
  }

  get isEmpty(): boolean {
    return this.blocks.count === 0 && this.ranges.count === 0;
  }

  /** Nothing is in it, and nothing that is out will be: neither a FLUSH nor an answer will make room. */
  get isIdle(): boolean {
    return this.isEmpty && this.reservedBytes === 0;
  }

  get isHalfFull(): boolean {
    return this.usedBytes * 2 > this.sizeBytes;
  }

  /** Memory of what is in the log, without what is reserved. */
  get usedBytes(): number {
    return this.blocks.count * (REPLAY_BLOCK_BYTES + REPLAY_BLOCK_COST_BYTES) + this.ranges.count * REPLAY_RANGE_COST_BYTES;
  }

  /** Bytes of data that would be sent again. */
  get dataBytes(): number {
    return this.blocks.sectors * SECTOR_BYTES;
  }

  /** Bytes of the volume that would be zeroed or discarded again. */
  get rangeBytes(): number {
    return this.ranges.sectors * SECTOR_BYTES;
  }

  /**
   * L1: takes room for a WRITE, ZERO or DISCARD that is about to be sent, nothing that overlaps it being out; it is given back by
   * `answered` or `dropped`. One that has its room already keeps it.
   */
  reserve(request: Request): Room {
    if (request.hasLogRoom) return 'taken';
    const isFua = (request.flags & FLAG.FUA) !== 0;
    const ranges = this.rangesOf(request, isFua);
    const bytes = (isFua ? 0 : blocksOf(request) * (REPLAY_BLOCK_BYTES + REPLAY_BLOCK_COST_BYTES)) + ranges * REPLAY_RANGE_COST_BYTES;
    const kept = isFua ? 0 : FUA_RANGES;
    const limitBytes = this.sizeBytes - kept * REPLAY_RANGE_COST_BYTES;
    if (!isFua && bytes > limitBytes) return 'fua';
    if (bytes > 0 && this.usedBytes + this.reservedBytes + bytes > limitBytes) return 'flush';
    if (ranges > 0 && this.ranges.count + this.reservedRanges + ranges > REPLAY_RANGES_MAX - kept) return 'flush';
    if (!isFua && this.total !== null && !this.total.hasRoom(bytes)) return 'total';
    request.hasLogRoom = true;
    request.logBytes = bytes;
    request.logRanges = ranges;
    this.reservedBytes += bytes;
    this.reservedRanges += ranges;
    this.reportToTotal();
    return 'taken';
  }

  /** A request for which room was taken will not be answered OK: failed or given up. */
  dropped(request: Request): void {
    if (!request.hasLogRoom) return;
    request.hasLogRoom = false;
    this.reservedBytes -= request.logBytes;
    this.reservedRanges -= request.logRanges;
    this.reportToTotal();
  }

  /** A WRITE, ZERO or DISCARD was answered OK. Its buffer is copied from. */
  answered(request: Request): void {
    assert(request.hasLogRoom && this.replay === null, 'A change was answered for which the log has no room, or amid a replay');
    const { op, flags, lba } = request;
    const sectors = sectorsOf(op, flags, request.count);
    this.dropped(request);
    const wasEmpty = this.isEmpty;
    // Durable already: but what was here before must not come back over it.
    if ((flags & FLAG.FUA) !== 0) {
      this.blocks.cut(lba, sectors);
      this.ranges.cut(lba, lba + sectors);
    } else if (op === OP.WRITE) {
      this.ranges.cut(lba, lba + sectors);
      this.blocks.put(lba, sectors, request.buffer, request.bufferOffset, this.age);
    } else {
      this.blocks.cut(lba, sectors);
      this.ranges.put({ begin: lba, end: lba + sectors, op, flags: flags & FLAG.NO_HOLE, age: this.age });
    }
    if (this.isEmpty) this.sinceMs = null;
    else if (wasEmpty) this.sinceMs = request.submittedMs;
    this.reportToTotal();
  }

  /** L2: a FLUSH is sent, for the first time in this session. Returns its mark, for `flushed`. */
  flushSent(): number {
    return this.age++;
  }

  /** The FLUSH with this mark, submitted then, was answered OK: what had been answered before it was sent is durable. */
  flushed(mark: number, submittedMs: number): void {
    assert(this.replay === null, 'A FLUSH was answered amid a replay');
    if (mark < this.marksFrom) return;
    this.marksFrom = mark + 1;
    this.blocks.trim(mark);
    this.ranges.trim(mark);
    this.reportToTotal();
    this.flushedMs = submittedMs;
    this.sinceMs = this.isEmpty ? null : Math.max(this.sinceMs ?? submittedMs, submittedMs);
  }

  /**
   * OPEN was answered: with the log's own life nothing is to be replayed (null). Otherwise all of it is, from the beginning, whatever an
   * earlier replay had done. No FLUSH that was sent before counts any more.
   */
  opened(life: string): Replay | null {
    this.marksFrom = this.age;
    this.replay = null;
    if (this.incarnation === life) return null;
    if (this.isEmpty) {
      this.incarnation = life;
      return null;
    }
    this.replay = new Replay(this.blocks, this.ranges, life);
    return this.replay;
  }

  /** A piece of this replay was answered OK. True: it was the last one, and the log is of the new life. */
  replayed(replay: Replay): boolean {
    if (replay !== this.replay) return false;
    replay.answered();
    if (!replay.isOver) return false;
    this.incarnation = replay.incarnation;
    this.replay = null;
    return true;
  }

  /** The volume is another one now, or closed: nothing of this is ever sent again. */
  clear(): void {
    this.replay = null;
    this.blocks.clear();
    this.ranges.clear();
    this.sinceMs = null;
    // Nobody tells any more what becomes of what is out.
    this.total?.leave(this.reportedBytes);
    this.total = null;
  }

  private reportToTotal(): void {
    if (this.total === null) return;
    const bytes = this.usedBytes + this.reservedBytes;
    const more = bytes - this.reportedBytes;
    this.reportedBytes = bytes;
    if (more !== 0) this.total.change(more);
  }

  /** Ranges by which this request may make the log longer: itself, and a range that it splits. */
  private rangesOf({ op, flags, lba, count }: Request, isFua: boolean): number {
    const itself = isFua || op === OP.WRITE ? 0 : 1;
    return itself + (this.ranges.meets(lba, lba + sectorsOf(op, flags, count)) ? 1 : 0);
  }
}

/** Cells that a WRITE touches. */
function blocksOf({ op, lba, count }: Request): number {
  if (op !== OP.WRITE) return 0;
  return Math.floor((lba + count - 1) / BLOCK_SECTORS) - Math.floor(lba / BLOCK_SECTORS) + 1;
}
