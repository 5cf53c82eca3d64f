// Copies one piece: locks the range of the piece against changes, reads the piece from one replica and writes it to the other replicas.
// Data that is all zeros is sent as ZERO, so that storage that supports holes makes a hole. The copier does not ask the source for its
// extents, because the answer could be older than the lock. Invariant: the lock lasts until every request of the piece has ended, so that
// no change overtakes a copy (M9). Rules: M7.

import { STATUS } from '../../wire/status.ts';
import type { CopyIo, CopyLock } from './copy-ports.ts';
import { PIECE_MAX_BYTES } from '../limits.ts';
import type { Piece } from './region-pieces.ts';

const ZEROS = Buffer.alloc(PIECE_MAX_BYTES);

export interface PieceOrder {
  readonly piece: Piece;
  readonly buffer: Buffer;
  /** Replicas from which the piece may be read now, the best one first. */
  sources(): readonly string[];
  targets(source: string): readonly string[];
  /** True if the copy is no longer needed. */
  isVoid(): boolean;
  refused(identity: string, status: number): void;
  /** Called once, when the buffer is no longer in use. */
  ended(result: PieceResult): void;
}

/**
 * `void`: the copy is no longer needed. `failed`: the copy must be tried again later. `unreadable`: no source could read the piece, and the
 * copy must be tried again later.
 */
export type PieceResult = 'copied' | 'void' | 'failed' | 'unreadable';

export class PieceRun {
  private readonly io: CopyIo;
  private readonly order: PieceOrder;
  private readonly tried = new Set<string>();
  private lock: CopyLock | null = null;
  private isOver = false;
  private unanswered = 0;
  private isCopied = true;
  /** True as long as each source that was tried has answered the READ with an error. */
  private isRefused = true;

  constructor(io: CopyIo, order: PieceOrder) {
    this.io = io;
    this.order = order;
  }

  start(): void {
    const { beginBytes, endBytes } = this.order.piece;
    this.lock = this.io.lock(beginBytes, endBytes, () => this.read());
    if (this.isOver) this.lock.release();
  }

  private read(): void {
    if (this.isOver) return;
    if (this.order.isVoid()) return this.end('void');
    const source = this.order.sources().find((identity) => !this.tried.has(identity));
    if (source === undefined) return this.end(this.tried.size > 0 && this.isRefused ? 'unreadable' : 'failed');
    this.tried.add(source);
    const { order } = this;
    const tenure = this.io.tenureOf(source);
    const { runs } = order.piece;
    let failure: number = STATUS.OK;
    this.unanswered = runs.length / 2;
    for (let at = 0; at < runs.length; at += 2) {
      const begin = runs[at]!;
      this.io.readAt(source, begin, runs[at + 1]! - begin, order.buffer, this.offsetOf(begin), (status) => {
        if (status !== STATUS.OK && (failure === STATUS.OK || !isOfServer(status))) failure = status;
        if (--this.unanswered > 0) return;
        if (failure === STATUS.OK && tenure !== null) return this.confirm(source, tenure);
        this.isRefused &&= isOfServer(failure) && failure !== STATUS.OK;
        this.read();
      });
    }
  }

  private offsetOf(positionBytes: number): number {
    return positionBytes - this.order.piece.beginBytes;
  }

  /**
   * Flushes the source before the piece is written. After a failed write-back, storage may return older content until a flush reports the
   * failure (V1 in docs/PROTOCOL.md). Data is therefore written to other replicas only after the source was flushed in the tenure in which
   * it was read.
   */
  private confirm(source: string, tenure: string): void {
    if (this.order.isVoid()) return this.end('void');
    this.io.flushAt(source, (status) => {
      if (status === STATUS.OK && this.io.tenureOf(source) === tenure) return this.write(source);
      this.isRefused = false;
      this.read();
    });
  }

  private write(source: string): void {
    const { order, io } = this;
    const { runs } = order.piece;
    if (order.isVoid()) return this.end('void');
    const targets = order.targets(source);
    if (targets.length === 0) return this.end('failed');
    this.unanswered = (targets.length * runs.length) / 2;
    for (let at = 0; at < runs.length; at += 2) {
      const begin = runs[at]!;
      const lengthBytes = runs[at + 1]! - begin;
      const offset = this.offsetOf(begin);
      const isZero = order.buffer.compare(ZEROS, 0, lengthBytes, offset, offset + lengthBytes) === 0;
      for (const target of targets) {
        const done = (status: number): void => this.written(target, status);
        if (isZero) io.zeroAt(target, begin, lengthBytes, done);
        else io.writeAt(target, begin, lengthBytes, order.buffer, offset, done);
      }
    }
  }

  private written(target: string, status: number): void {
    if (status !== STATUS.OK) {
      this.isCopied = false;
      if (isOfServer(status)) this.order.refused(target, status);
    }
    if (--this.unanswered === 0) this.end(this.isCopied ? 'copied' : 'failed');
  }

  private end(result: PieceResult): void {
    this.isOver = true;
    this.order.ended(result);
    this.lock?.release();
  }
}

/** False for the statuses that the client itself sets when the session or the attachment has ended. */
function isOfServer(status: number): boolean {
  return status !== STATUS.OUTCOME_UNKNOWN && status !== STATUS.STALE && status !== STATUS.TAKEN;
}
