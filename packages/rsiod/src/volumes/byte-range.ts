// One request for a range that is not whole blocks, as requests for whole blocks: a read reads the blocks around it; a change first reads those
// that it covers in part, then writes them with what it changes; a discard leaves out what it covers in part. Leaves keeping others away from
// these blocks meanwhile to range-lock.ts. Invariant: it is done once, when nothing of it is out any more.
//
//   |  block  |  block  |  block  |  block  |
//        [head|      middle       |tail]          head and tail go by way of `blocks`, the middle straight from the request's buffer

import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { VolumeIo, VolumeOp } from './frontend-volume.ts';
import { RangeEntry } from './range-lock.ts';

const NOTHING = Buffer.alloc(0);

class Piece implements VolumeIo {
  op: VolumeOp = 'read';
  positionBytes = 0;
  lengthBytes = 0;
  buffer: Buffer = NOTHING;
  bufferOffset = 0;
  fua = false;
  keepAllocated = false;
  readonly done: (status: Status) => void;

  constructor(done: (status: Status) => void) {
    this.done = done;
  }
}

/** The request, from when it came until it is done: it has its place in the order before there is a buffer for it. */
export class CutRequest extends RangeEntry {
  readonly io: VolumeIo;
  readonly blockBytes: number;

  /** `io`: not whole blocks, of at least a byte, within the volume. The range of the lock is that of the blocks that it touches. */
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

/** What does one of them at a time. */
export class ByteRange {
  readonly blockBytes: number;
  private request: CutRequest | null = null;
  /** Head and tail. */
  private readonly blocks: Buffer;
  private readonly pieces: readonly [Piece, Piece, Piece];
  private readonly submit: (piece: VolumeIo) => void;
  private readonly ended: (range: ByteRange, status: Status) => void;
  private hasHead = false;
  private hasTail = false;
  private isReading = false;
  private left = 0;
  private status: Status = STATUS.OK;

  /** `submit`: whole blocks, past everything that waits; `ended` is never called from within `start`. */
  constructor(blockBytes: number, submit: (piece: VolumeIo) => void, ended: (range: ByteRange, status: Status) => void) {
    this.blockBytes = blockBytes;
    this.blocks = Buffer.alloc(2 * blockBytes);
    this.submit = submit;
    this.ended = ended;
    const done = (status: Status): void => this.pieceDone(status);
    this.pieces = [new Piece(done), new Piece(done), new Piece(done)];
  }

  /** Sends what is first. False: there is nothing to send. */
  start(request: CutRequest): boolean {
    const { blockBytes } = this;
    const { io, beginBytes } = request;
    const { op, positionBytes } = io;
    const endBytes = positionBytes + io.lengthBytes;
    const isOne = request.endBytes - beginBytes === blockBytes;
    this.request = request;
    this.hasHead = positionBytes !== beginBytes || (isOne && endBytes !== request.endBytes);
    this.hasTail = !isOne && endBytes !== request.endBytes;
    this.status = STATUS.OK;
    this.isReading = op === 'write' || op === 'zero';
    this.left = 0;
    const [head, middle, tail] = this.pieces;
    const edges = op === 'discard' ? null : 'read';
    this.shape(head, middle, tail, edges, this.isReading ? null : op);
    return this.send();
  }

  /** Lets go of the request. */
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

  /** What head and tail, and what the middle is to do; null: nothing. */
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
    const { fua, keepAllocated } = this.given;
    Object.assign(piece, { op, positionBytes, lengthBytes, buffer, bufferOffset, fua: fua && op !== 'read', keepAllocated });
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
    else if (this.isReading) this.write();
    else {
      if (this.given.op === 'read') this.eachEdge((io, at, offset, bytes) => this.blocks.copy(io.buffer, at, offset, offset + bytes));
      this.ended(this, STATUS.OK);
    }
  }

  /** The blocks that are covered in part are there: they are changed, and everything is written. */
  private write(): void {
    const { op } = this.given;
    this.isReading = false;
    if (op === 'write') this.eachEdge((io, at, offset, bytes) => io.buffer.copy(this.blocks, offset, at, at + bytes));
    else this.eachEdge((_io, _at, offset, bytes) => this.blocks.fill(0, offset, offset + bytes));
    const [head, middle, tail] = this.pieces;
    this.shape(head, middle, tail, 'write', op);
    this.send();
  }

  /** Where the request's bytes of head and tail lie: in its own buffer, and in `blocks`. */
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
