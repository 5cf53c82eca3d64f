// Converts requests that cover some blocks only partly into requests for whole blocks. A read request reads all blocks that its range
// touches. A write or zero request first reads the partly covered blocks, and then writes them back with the changed bytes. A discard
// request skips partly covered blocks. A write with an expected content is treated like one of a partly covered block. At most
// BYTE_RANGES_OUT_MAX requests are in flight; the frontends limit the number of waiting requests. Invariant: while a change with partly
// covered blocks is in flight, no overlapping change is in flight (range-lock.ts), because writing a block back could undo the other
// change.

import { assert, counted } from '@rsio/base/lib/assert';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { VolumeIo, VolumeOp } from './frontend-volume.ts';
import { BYTE_RANGES_IDLE_MAX, BYTE_RANGES_OUT_MAX } from './limits.ts';
import { RangeEntry, RangeLock } from './range-lock.ts';

export interface ByteRangePorts {
  /** Sends a request for whole blocks at once, without queueing. */
  submit(piece: VolumeIo): void;
  /** Called when a change to whole blocks that had to wait may be sent. */
  go(entry: RangeEntry): void;
  done(io: VolumeIo, status: Status): void;
  /** Calls `fire` after the current event has been handled. */
  soon(fire: () => void): void;
}

export class PartialBlocks {
  private readonly lock = new RangeLock();
  private readonly ports: ByteRangePorts;
  private readonly idle: ByteRange[] = [];
  /** Requests that wait only because BYTE_RANGES_OUT_MAX requests are in flight. */
  private queue: CutRequest[] = [];
  private out = 0;

  constructor(ports: ByteRangePorts) {
    this.ports = ports;
  }

  /** Must be called before a change to whole blocks is sent. Returns false if the change must wait until `go` is called. */
  enter(entry: RangeEntry): boolean {
    return this.lock.enter(entry);
  }

  /** Must be called when a change that was passed to `enter` is done. */
  leave(entry: RangeEntry): void {
    for (const free of this.lock.leave(entry)) this.proceed(free);
  }

  /** The range of `io` must lie within the volume, must not be empty, and must cover at least one block only partly. */
  submit(io: VolumeIo, blockBytes: number): void {
    const request = new CutRequest(io, blockBytes);
    if (!request.isExclusive || this.lock.enter(request)) this.inTurn(request);
  }

  /** Removes all waiting requests. Returns the waiting changes to whole blocks, and completes the other requests with `status`. */
  abandon(status: Status): readonly RangeEntry[] {
    const waiting = this.lock.takeWaiting();
    const { queue } = this;
    this.queue = [];
    // No entry is waiting after `takeWaiting`, so these calls of `leave` return nothing.
    for (const request of queue) if (request.isExclusive) this.lock.leave(request);
    for (const entry of [...queue, ...waiting]) if (entry instanceof CutRequest) this.ports.done(entry.io, status);
    return waiting.filter((entry) => !(entry instanceof CutRequest));
  }

  private proceed(entry: RangeEntry): void {
    if (entry instanceof CutRequest) this.inTurn(entry);
    else this.ports.go(entry);
  }

  private inTurn(request: CutRequest): void {
    this.queue.push(request);
    this.startNext();
  }

  private startNext(): void {
    while (this.out < BYTE_RANGES_OUT_MAX) {
      const request = this.queue.shift();
      if (request === undefined) return;
      this.out++;
      const pooled = this.idle.pop();
      const range = pooled?.blockBytes === request.blockBytes ? pooled : this.made(request.blockBytes);
      if (!range.start(request)) this.ports.soon(() => this.ended(range, STATUS.OK));
    }
  }

  private made(blockBytes: number): ByteRange {
    return new ByteRange(
      blockBytes,
      (piece) => this.ports.submit(piece),
      (range, status) => this.ended(range, status),
    );
  }

  private ended(range: ByteRange, status: Status): void {
    const request = range.release();
    if (this.idle.length < BYTE_RANGES_IDLE_MAX) this.idle.push(range);
    assert(this.out > 0, 'More byte ranges have ended than began');
    this.out = counted(this.out - 1, 'partial blocks in progress');
    if (request.isExclusive) this.leave(request);
    this.ports.done(request.io, status);
    this.startNext();
  }
}

const NOTHING = Buffer.alloc(0);

//   |  block  |  block  |  block  |  block  |
//        [head|      middle       |tail]
//
// A request has up to three parts: head, middle and tail. The head is a partly covered first block, the tail is a partly covered last
// block, and the middle consists of whole blocks. Head and tail are copied through the buffer `blocks`; the middle uses the request's own
// buffer.

class Piece implements VolumeIo {
  op: VolumeOp = 'read';
  positionBytes = 0;
  lengthBytes = 0;
  buffer: Buffer = NOTHING;
  bufferOffset = 0;
  fua = false;
  mustKeepAllocated = false;
  readonly done: (status: Status) => void;

  constructor(done: (status: Status) => void) {
    this.done = done;
  }
}

/**
 * A request with partly covered blocks, from its arrival until it is done. A request gets its position in the order of changes before it
 * gets a buffer.
 */
export class CutRequest extends RangeEntry {
  readonly io: VolumeIo;
  readonly blockBytes: number;

  /** The lock covers all blocks that the range touches. */
  constructor(io: VolumeIo, blockBytes: number) {
    super();
    const { positionBytes, lengthBytes } = io;
    this.io = io;
    this.blockBytes = blockBytes;
    this.isExclusive = io.op !== 'read';
    this.beginBytes = positionBytes - (positionBytes % blockBytes);
    this.endBytes = Math.ceil((positionBytes + lengthBytes) / blockBytes) * blockBytes;
  }
}

/** Executes one CutRequest at a time. The objects and their buffers are re-used for later requests. */
export class ByteRange {
  readonly blockBytes: number;
  private request: CutRequest | null = null;
  private readonly blocks: Buffer;
  private readonly pieces: readonly [Piece, Piece, Piece];
  private readonly submit: (piece: VolumeIo) => void;
  private readonly ended: (range: ByteRange, status: Status) => void;
  private hasHead = false;
  private hasTail = false;
  private isReading = false;
  private left = 0;
  private status: Status = STATUS.OK;

  /** `submit` sends a request for whole blocks without queueing it; `ended` is never called from within `start`. */
  constructor(blockBytes: number, submit: (piece: VolumeIo) => void, ended: (range: ByteRange, status: Status) => void) {
    this.blockBytes = blockBytes;
    this.blocks = Buffer.alloc(2 * blockBytes);
    this.submit = submit;
    this.ended = ended;
    const done = (status: Status): void => this.pieceDone(status);
    this.pieces = [new Piece(done), new Piece(done), new Piece(done)];
  }

  /** Sends the first pieces of the request. Returns false if the request has no pieces to send. */
  start(request: CutRequest): boolean {
    const { blockBytes } = this;
    const { io, beginBytes } = request;
    const { op, positionBytes } = io;
    const endBytes = positionBytes + io.lengthBytes;
    const isOne = request.endBytes - beginBytes === blockBytes;
    this.request = request;
    const isCompared = (io.expected ?? null) !== null;
    this.hasHead = positionBytes !== beginBytes || (isOne && (isCompared || endBytes !== request.endBytes));
    this.hasTail = !isOne && endBytes !== request.endBytes;
    this.status = STATUS.OK;
    this.isReading = op === 'write' || op === 'zero';
    this.left = 0;
    const [head, middle, tail] = this.pieces;
    const edges = op === 'discard' ? null : 'read';
    this.shape(head, middle, tail, edges, this.isReading ? null : op);
    return this.send();
  }

  release(): CutRequest {
    const { taken } = this;
    this.request = null;
    for (const piece of this.pieces) piece.buffer = NOTHING;
    return taken;
  }

  private get taken(): CutRequest {
    if (this.request === null) throw new TypeError('A byte range without a request');
    return this.request;
  }

  private get given(): VolumeIo {
    return this.taken.io;
  }

  /** Sets the operations for head and tail (`edges`) and for the middle (`between`); null means no operation. */
  private shape(head: Piece, middle: Piece, tail: Piece, edges: VolumeOp | null, between: VolumeOp | null): void {
    const { io, beginBytes, endBytes } = this.taken;
    const { blockBytes, blocks } = this;
    const from = beginBytes + (this.hasHead ? blockBytes : 0);
    const upTo = endBytes - (this.hasTail ? blockBytes : 0);
    this.set(head, edges !== null && this.hasHead ? blockBytes : 0, edges ?? 'read', beginBytes, blocks, 0);
    this.set(tail, edges !== null && this.hasTail ? blockBytes : 0, edges ?? 'read', endBytes - blockBytes, blocks, blockBytes);
    const middleBytes = between === null ? 0 : Math.max(0, upTo - from);
    this.set(middle, middleBytes, between ?? 'read', from, io.buffer, io.bufferOffset + from - io.positionBytes);
  }

  private set(piece: Piece, lengthBytes: number, op: VolumeOp, positionBytes: number, buffer: Buffer, bufferOffset: number): void {
    const { fua, mustKeepAllocated } = this.given;
    Object.assign(piece, {
      op,
      positionBytes,
      lengthBytes,
      buffer,
      bufferOffset,
      fua: fua && op !== 'read',
      mustKeepAllocated,
    } satisfies Partial<Piece>);
  }

  private send(): boolean {
    for (const { lengthBytes } of this.pieces) if (lengthBytes > 0) this.left++;
    const any = this.left > 0;
    for (const piece of this.pieces) if (piece.lengthBytes > 0) this.submit(piece);
    return any;
  }

  private pieceDone(status: Status): void {
    if (status !== STATUS.OK && this.status === STATUS.OK) this.status = status;
    if (--this.left > 0) return;
    if (this.status !== STATUS.OK) this.ended(this, this.status);
    else if (this.isReading && this.differs()) this.ended(this, STATUS.OK);
    else if (this.isReading) this.write();
    else {
      if (this.given.op === 'read') this.eachEdge((io, at, offset, bytes) => this.blocks.copy(io.buffer, at, offset, offset + bytes));
      this.ended(this, STATUS.OK);
    }
  }

  /** True if the block, which has now been read, does not have the content that the request expects. */
  private differs(): boolean {
    const { given, blocks, blockBytes } = this;
    const expected = given.expected ?? null;
    if (expected === null) return false;
    given.differs = expected.compare(blocks, 0, blockBytes, 0, blockBytes) !== 0;
    return given.differs;
  }

  /** Changes the bytes of the partly covered blocks, which have now been read, and writes all blocks of the range. */
  private write(): void {
    const { op } = this.given;
    this.isReading = false;
    if (op === 'write') this.eachEdge((io, at, offset, bytes) => io.buffer.copy(this.blocks, offset, at, at + bytes));
    else this.eachEdge((_io, _at, offset, bytes) => this.blocks.fill(0, offset, offset + bytes));
    const [head, middle, tail] = this.pieces;
    this.shape(head, middle, tail, 'write', op);
    this.send();
  }

  /** Calls `visit` for head and tail; `at` is their position in the request's buffer, and `offset` is their position in `blocks`. */
  private eachEdge(visit: (io: VolumeIo, at: number, offset: number, bytes: number) => void): void {
    const request = this.taken;
    const { io } = request;
    const { blockBytes } = this;
    const endBytes = io.positionBytes + io.lengthBytes;
    const skipped = io.positionBytes - request.beginBytes;
    if (this.hasHead) visit(io, io.bufferOffset, skipped, Math.min(blockBytes - skipped, io.lengthBytes));
    const tailBytes = request.endBytes - blockBytes;
    if (this.hasTail) visit(io, io.bufferOffset + tailBytes - io.positionBytes, blockBytes, endBytes - tailBytes);
  }
}
