// A load on one NBD export that measures pauses precisely: a fixed number of requests is in flight, each answer gets a time stamp, and
// every block that the load wrote is verified when it is read. nbd-stream.ts has the connections, and load-process.ts runs the load in its
// own process. Invariants: a block has at most one request in flight, so the correct result of a read is known. Every error is counted.

import { randomInt } from 'node:crypto';
import { Latencies } from './latencies.ts';

export interface LoadShape {
  readonly blockBytes: number;
  /** Requests in flight over all connections. */
  readonly depth: number;
  readonly order: 'random' | 'sequential';
  /** Share of reads in percent, 0 to 100. The remaining requests are writes. */
  readonly readPercent: number;
  /** Size of the part of the export that the load uses. The part begins at `beginBytes`, by default at the beginning of the export. */
  readonly sizeBytes: number;
  readonly beginBytes?: number;
}

/** Figures of the I/O since the last call of `take`. */
export interface LoadFigures {
  readonly seconds: number;
  readonly done: number;
  readonly bytes: number;
  /** Longest time without an answer. The time since the last answer is included. */
  readonly longestGapMs: number;
  /** Time of the slowest request. Requests that still wait are included. */
  readonly worstMs: number;
  /** Time for which the oldest request has been waiting. */
  readonly waitingMs: number;
  readonly medianMs: number;
  readonly p99Ms: number;
  /** Bytes of answered requests in each full SLICE_MS. */
  readonly slices: readonly number[];
  readonly errors: number;
  readonly firstError: string | null;
}

export const SLICE_MS = 500;
export const REQUEST_BYTES = 28;
export const REPLY_BYTES = 16;
const REQUEST_MAGIC = 0x25609513;
const REPLY_MAGIC = 0x67446698;
const READ = 0;
const WRITE = 1;
/** Size of the stamp at the beginning and at the end of a block: the numbers of the block and of the write. */
export const STAMP_BYTES = 8;

/** One of the requests that are always in flight. */
interface Lane {
  /** The header of the request, followed by the data of the block. */
  readonly buffer: Buffer;
  block: number;
  isRead: boolean;
  beganMs: number;
  isOut: boolean;
}

export class NbdLoad {
  private readonly shape: LoadShape;
  private readonly send: (lane: number, bytes: Buffer) => void;
  private readonly nowMs: () => number;
  private readonly lanes: Lane[];
  /**
   * For each block: number of the last answered write. 0: the content of the block is unknown, for example because this load has not
   * written it yet.
   */
  private readonly written: Uint32Array;
  private readonly busy: Uint8Array;
  private readonly latencies = new Latencies();
  private writes = randomInt(2 ** 30);
  private next = 0;
  private isOver = false;
  private drained: (() => void) | null = null;
  private out = 0;
  private errors = 0;
  private firstError: string | null = null;
  private sinceMs: number;
  private lastMs: number;
  private longestGapMs = 0;
  private worstMs = 0;
  private done = 0;
  private slices: number[] = [];

  /** `send`: the bytes do not change until the request is answered. */
  constructor(shape: LoadShape, send: (lane: number, bytes: Buffer) => void, nowMs: () => number) {
    const blocks = Math.floor(shape.sizeBytes / shape.blockBytes);
    if (blocks < 2 * shape.depth)
      throw new Error(`${shape.sizeBytes} bytes are too few for ${shape.depth} requests of ${shape.blockBytes}`);
    this.shape = shape;
    this.send = send;
    this.nowMs = nowMs;
    this.written = new Uint32Array(blocks);
    this.busy = new Uint8Array(blocks);
    this.lanes = Array.from({ length: shape.depth }, () => ({
      buffer: Buffer.alloc(REQUEST_BYTES + shape.blockBytes),
      block: 0,
      isRead: true,
      beganMs: 0,
      isOut: false,
    }));
    this.sinceMs = nowMs();
    this.lastMs = this.sinceMs;
  }

  begin(): void {
    for (let lane = 0; lane < this.lanes.length; lane++) this.ask(lane);
  }

  /** Sends no more requests. Resolves when all requests are answered. */
  end(): Promise<void> {
    this.isOver = true;
    return new Promise((resolve) => {
      this.drained = resolve;
      if (this.out === 0) resolve();
    });
  }

  /** Number of bytes of data that follow the header of a reply with this cookie. */
  bodyBytes(cookie: number): number {
    const lane = this.lanes[cookie];
    return lane?.isOut === true && lane.isRead ? this.shape.blockBytes : 0;
  }

  /** Called when a reply is complete. For a read, `stamps` has the stamps of the block that was read. */
  answered(reply: { readonly magic: number; readonly errno: number; readonly cookie: number }, stamps: Buffer): void {
    const lane = this.lanes[reply.cookie];
    if (reply.magic !== REPLY_MAGIC || lane === undefined || !lane.isOut) {
      this.failed(`A reply to no request came: cookie ${reply.cookie}`);
      return;
    }
    this.count(lane);
    if (reply.errno !== 0) {
      this.failed(`Errno ${reply.errno} for ${lane.isRead ? 'a read' : 'a write'} of block ${lane.block}`);
      // The content after a failed write is unknown.
      if (!lane.isRead) this.written[lane.block] = 0;
    } else if (lane.isRead) {
      this.compare(lane.block, stamps);
    } else {
      this.written[lane.block] = lane.buffer.readUInt32BE(REQUEST_BYTES + 4);
    }
    this.busy[lane.block] = 0;
    lane.isOut = false;
    this.out--;
    if (!this.isOver) this.ask(reply.cookie);
    else if (this.out === 0) this.drained?.();
  }

  failed(sentence: string): void {
    this.errors++;
    this.firstError ??= sentence;
  }

  /** Returns the figures of the I/O since the last call. */
  take(): LoadFigures {
    const nowMs = this.nowMs();
    const { sinceMs, done, slices } = this;
    const waitingMs = Math.max(0, ...this.lanes.filter(({ isOut }) => isOut).map(({ beganMs }) => nowMs - beganMs));
    const fullSlices = Math.floor((nowMs - sinceMs) / SLICE_MS);
    const figures = {
      seconds: (nowMs - sinceMs) / 1000,
      done,
      bytes: done * this.shape.blockBytes,
      longestGapMs: Math.max(this.longestGapMs, nowMs - this.lastMs),
      worstMs: Math.max(this.worstMs, waitingMs),
      waitingMs,
      medianMs: this.latencies.quantile(0.5),
      p99Ms: this.latencies.quantile(0.99),
      slices: Array.from({ length: fullSlices }, (_, index) => (slices[index] ?? 0) * this.shape.blockBytes),
      errors: this.errors,
      firstError: this.firstError,
    };
    this.latencies.clear();
    this.sinceMs = nowMs;
    this.lastMs = nowMs;
    this.longestGapMs = 0;
    this.worstMs = 0;
    this.done = 0;
    this.slices = [];
    return figures;
  }

  private count(lane: Lane): void {
    const nowMs = this.nowMs();
    const tookMs = nowMs - lane.beganMs;
    this.latencies.add(tookMs);
    if (tookMs > this.worstMs) this.worstMs = tookMs;
    if (nowMs - this.lastMs > this.longestGapMs) this.longestGapMs = nowMs - this.lastMs;
    this.lastMs = nowMs;
    this.done++;
    const slice = Math.floor((nowMs - this.sinceMs) / SLICE_MS);
    this.slices[slice] = (this.slices[slice] ?? 0) + 1;
  }

  private compare(block: number, stamps: Buffer): void {
    const write = this.written[block]!;
    if (write === 0) return;
    for (const at of [0, STAMP_BYTES]) {
      const [foundBlock, foundWrite] = [stamps.readUInt32BE(at), stamps.readUInt32BE(at + 4)];
      if (foundBlock !== block || foundWrite !== write) {
        this.failed(`Block ${block} read back as block ${foundBlock}, write ${foundWrite}: write ${write} was the last`);
        return;
      }
    }
  }

  private ask(index: number): void {
    const lane = this.lanes[index]!;
    const { blockBytes, readPercent, beginBytes = 0 } = this.shape;
    const { buffer } = lane;
    lane.block = this.freeBlock();
    lane.isRead = Math.random() * 100 < readPercent;
    lane.isOut = true;
    this.busy[lane.block] = 1;
    this.out++;
    const offset = beginBytes + lane.block * blockBytes;
    buffer.writeUInt32BE(REQUEST_MAGIC, 0);
    buffer.writeUInt32BE(lane.isRead ? READ : WRITE, 4);
    buffer.writeUInt32BE(0, 8);
    buffer.writeUInt32BE(index, 12);
    buffer.writeUInt32BE(Math.floor(offset / 2 ** 32), 16);
    buffer.writeUInt32BE(offset % 2 ** 32, 20);
    buffer.writeUInt32BE(blockBytes, 24);
    if (!lane.isRead) this.stamp(buffer, lane.block);
    lane.beganMs = this.nowMs();
    this.send(index, lane.isRead ? buffer.subarray(0, REQUEST_BYTES) : buffer);
  }

  private stamp(buffer: Buffer, block: number): void {
    this.writes = (this.writes % (2 ** 32 - 1)) + 1;
    for (const at of [REQUEST_BYTES, buffer.length - STAMP_BYTES]) {
      buffer.writeUInt32BE(block, at);
      buffer.writeUInt32BE(this.writes, at + 4);
    }
  }

  /** Finds a block without a request; there are at least twice as many blocks as requests. */
  private freeBlock(): number {
    const { length } = this.busy;
    let block = this.shape.order === 'random' ? Math.floor(Math.random() * length) : this.next;
    while (this.busy[block] === 1) block = (block + 1) % length;
    this.next = (block + 1) % length;
    return block;
  }
}
