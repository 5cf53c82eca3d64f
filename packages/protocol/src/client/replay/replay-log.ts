// The replay log of one volume (docs/PROTOCOL.md, L1, L2, R2 i): all WRITEs, ZEROs and DISCARDs that were answered but are not yet covered
// by a successful FLUSH. The client sends these changes again when the storage starts a new incarnation. Invariants: memory is reserved
// before a request is sent. The memory used and reserved stays within the log's size, apart from the rounding up to whole slabs. The log's
// incarnation changes only after everything in the log was replayed to the new incarnation. Rules: L3.

import { assert, counted } from '@rsio/base/lib/assert';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SLOTS } from '../../wire/limits.ts';
import { REPLAY_BLOCK_BYTES, REPLAY_BLOCK_COST_BYTES, REPLAY_RANGES_MAX, REPLAY_RANGE_COST_BYTES } from '../limits.ts';
import { FLAG, OP } from '../../wire/frames.ts';
import { sectorsOf } from '../../wire/header.ts';
import { Replay } from './replay.ts';
import { BLOCK_SECTORS, ReplayBlocks, type SlabPool } from './replay-blocks.ts';
import { ReplayRanges } from './replay-ranges.ts';
import type { LogTotal } from './log-total.ts';
import type { Request } from '../requests/request.ts';

/** Number of ranges reserved for requests with FUA. A request in every slot can therefore split a range even if the log is full. */
const FUA_RANGES = SLOTS;

/**
 * `taken`: the request may be sent. `flush`: the request must wait until a FLUSH has made room. `total`: the request would exceed the limit
 * for all logs together. `fua`: the log can never have room for the request, but the request may be sent with FUA.
 */
export type Room = 'taken' | 'flush' | 'total' | 'fua';

export class ReplayLog {
  readonly sizeBytes: number;
  /** Incarnation of the storage that answered everything in this log; null if the volume has not been opened yet. */
  incarnation: string | null = null;
  reservedBytes = 0;
  /** Monotonic time in ms, at or before the oldest change in the log; null if the log is empty. */
  sinceMs: number | null = null;
  /**
   * Submission time in ms of the last FLUSH that was answered OK; null if there was none. Every change that was answered before `flushedMs`
   * is durable.
   */
  flushedMs: number | null = null;
  private readonly blocks: ReplayBlocks;
  private readonly ranges = new ReplayRanges();
  private reservedRanges = 0;
  /**
   * Age that a change gets when it is answered. The age increases with each FLUSH that is sent. A change that is answered after a FLUSH was
   * sent has a higher age than the changes that the FLUSH covers.
   */
  private age = 1;
  /**
   * Lowest valid mark. A FLUSH with a lower mark covers nothing, because the session or incarnation was lost, or because a later FLUSH was
   * answered first.
   */
  private marksFrom = 1;
  private replay: Replay | null = null;
  private total: LogTotal | null;
  private reportedBytes = 0;

  /** `total`: limit for this log and other logs together; null if there is no such limit. */
  constructor(sizeBytes: number, pool: SlabPool, total: LogTotal | null) {
    this.sizeBytes = sizeBytes;
    this.total = total;
    this.blocks = new ReplayBlocks(pool);
  }

  get isEmpty(): boolean {
    return this.blocks.count === 0 && this.ranges.count === 0;
  }

  /** True if the log is empty and nothing in flight will enter the log; if so, neither a FLUSH nor an answer can make room. */
  get isIdle(): boolean {
    return this.isEmpty && this.reservedBytes === 0;
  }

  get isHalfFull(): boolean {
    return this.usedBytes * 2 > this.sizeBytes;
  }

  /** Memory used by the log's content, without reservations. */
  get usedBytes(): number {
    return this.blocks.count * (REPLAY_BLOCK_BYTES + REPLAY_BLOCK_COST_BYTES) + this.ranges.count * REPLAY_RANGE_COST_BYTES;
  }

  /** Bytes of data that a replay would send. */
  get dataBytes(): number {
    return this.blocks.sectors * SECTOR_BYTES;
  }

  /** Bytes of the volume that a replay would zero or discard. */
  get rangeBytes(): number {
    return this.ranges.sectors * SECTOR_BYTES;
  }

  /**
   * L1: reserves room for a WRITE, ZERO or DISCARD that is about to be sent. The caller ensures that no overlapping request is in flight.
   * `answered` or `dropped` releases the room.
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

  /** Releases the room of a request that will not be answered OK, because it failed or was abandoned. */
  dropped(request: Request): void {
    if (!request.hasLogRoom) return;
    request.hasLogRoom = false;
    this.reservedBytes = counted(this.reservedBytes - request.logBytes, 'reserved bytes of the replay log');
    this.reservedRanges = counted(this.reservedRanges - request.logRanges, 'reserved ranges of the replay log');
    this.reportToTotal();
  }

  /** Called when a WRITE, ZERO or DISCARD was answered OK. The log copies the data of a WRITE from the buffer of the request. */
  answered(request: Request): void {
    assert(request.hasLogRoom && this.replay === null, 'A change was answered for which the log has no room, or amid a replay');
    const { op, flags, lba } = request;
    const sectors = sectorsOf(op, flags, request.count);
    this.dropped(request);
    const wasEmpty = this.isEmpty;
    // A change with FUA is already durable, but the log must drop the older content of the range, so that a replay does not restore it.
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

  /** L2: called when a FLUSH is being sent for the first time in this session. Returns the mark of the FLUSH, which `flushed` needs. */
  flushSent(): number {
    return this.age++;
  }

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
   * Called when OPEN was answered. Returns null if the log is empty or belongs to this incarnation. Otherwise returns a replay of the whole
   * log, even if an earlier replay has sent part of it. After this call, answers to earlier FLUSHes have no effect.
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

  /** Called when a piece of this replay was answered OK. Returns true for the last piece; the log then belongs to the new incarnation. */
  replayed(replay: Replay): boolean {
    if (replay !== this.replay) return false;
    replay.answered();
    if (!replay.isOver) return false;
    this.incarnation = replay.incarnation;
    this.replay = null;
    return true;
  }

  /** Called when the volume was replaced or closed. Nothing in the log will ever be sent again. */
  clear(): void {
    this.replay = null;
    this.blocks.clear();
    this.ranges.clear();
    this.sinceMs = null;
    // Stop counting this log in the total, because the log no longer learns the outcome of requests in flight.
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

  /** Maximum number of ranges that this request adds to the log: its own range, and one more if it splits an existing range. */
  private rangesOf({ op, flags, lba, count }: Request, isFua: boolean): number {
    const itself = isFua || op === OP.WRITE ? 0 : 1;
    return itself + (this.ranges.overlaps(lba, lba + sectorsOf(op, flags, count)) ? 1 : 0);
  }
}

function blocksOf({ op, lba, count }: Request): number {
  if (op !== OP.WRITE) return 0;
  return Math.floor((lba + count - 1) / BLOCK_SECTORS) - Math.floor(lba / BLOCK_SECTORS) + 1;
}
