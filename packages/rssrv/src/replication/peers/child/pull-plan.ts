// Decides what a pull does next: which ranges it asks the peer about, which data it reads, where it makes holes, and when it syncs. Pure.
// pull.ts carries the steps out. Invariants: each block that is not certainly unchanged is read or becomes a hole. The position never
// exceeds the first block that is not complete and durable. Memory is bounded: ranges, pieces and questions have limits.

import { assert, counted } from '@rsio/base/lib/assert';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { CHANGE, EXTENT } from '@rsio/protocol/wire/messages';

//   fromBytes         resolved          known                          size
//   |  pieces, in order  |  changed ranges  |  not asked yet              |
//   '-- begun -- ready --'                  '-- CHANGES asks here
//                        '-- EXTENTS asks here, up to `known`

export interface PullShape {
  readonly sizeBytes: number;
  readonly fromBytes: number;
  readonly blockBytes: number;
  /** True if everything counts as changed. */
  readonly isWhole: boolean;
  /** True if the file was all zeros, so that holes need no step. */
  readonly isBlank: boolean;
}

export interface PullBounds {
  readonly windowBytes: number;
  readonly pieceBytes: number;
  readonly holeBytes: number;
  readonly holesAtOnce: number;
  readonly rangesAhead: number;
  readonly askBytes: number;
  readonly saveEveryBytes: number;
}

export interface Range {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** A part of the file that is read from the peer or becomes a hole. */
export interface Piece extends Range {
  readonly kind: 'read' | 'hole';
}

/** A question about a range. The answer may cover only its beginning. */
interface Question<K extends 'changes' | 'extents'> extends Range {
  readonly kind: K;
}

export type PullStep = Piece | Question<'changes'> | Question<'extents'> | { readonly kind: 'sync' } | { readonly kind: 'done' };

export class PullPlan {
  private readonly shape: PullShape;
  private readonly bounds: PullBounds;
  /** Changed ranges beyond `resolvedBytes`, in order, that are not yet divided into data and holes. */
  private changed: Range[] = [];
  /** Pieces that are not begun, in order. The first one may be larger than a step. */
  private ready: Piece[] = [];
  private readonly begun = new Set<Piece>();
  /** What has changed is known up to `knownBytes`; all pieces before `resolvedBytes` are made; the last piece ends at `madeBytes`. */
  private knownBytes: number;
  private resolvedBytes: number;
  private madeBytes: number;
  /** End of the range of the question in progress; null: there is none. CHANGES begins at `knownBytes`, EXTENTS at `resolvedBytes`. */
  private asked: { changes: number | null; extents: number | null } = { changes: null, extents: null };
  private readingBytes = 0;
  private holes = 0;
  private unsyncedBytes = 0;
  /** The position that the sync in progress makes durable; null: none is in progress. */
  private syncingBytes: number | null = null;
  /** True after a sync with nothing begun or left. */
  private isSynced = false;
  private durableBytes: number;
  private done = 0;
  private total = 0;

  constructor(shape: PullShape, bounds: PullBounds) {
    const fromBytes = floor(shape.fromBytes, shape.blockBytes);
    this.shape = { ...shape, fromBytes };
    this.bounds = bounds;
    this.durableBytes = shape.fromBytes;
    this.resolvedBytes = fromBytes;
    this.madeBytes = fromBytes;
    this.knownBytes = shape.isWhole ? shape.sizeBytes : fromBytes;
    if (shape.isWhole && fromBytes < shape.sizeBytes) this.changed = [{ offsetBytes: fromBytes, lengthBytes: shape.sizeBytes - fromBytes }];
  }

  /** Everything before this position is complete and durable. */
  get positionBytes(): number {
    return this.durableBytes;
  }

  get doneBytes(): number {
    return this.done;
  }

  /** Bytes of data in all pieces that are known so far. */
  get totalBytes(): number {
    return this.total;
  }

  /** Number of pieces that were begun and have not ended. */
  get begunCount(): number {
    return this.begun.size;
  }

  /**
   * Returns the next step, which then counts as begun, or null if nothing can begin now. `mayRead`: false while the limit of bandwidth
   * forbids further reads.
   */
  next(mayRead: boolean): PullStep | null {
    if (this.syncingBytes === null && this.unsyncedBytes >= this.bounds.saveEveryBytes) return this.sync();
    const piece = this.nextPiece(mayRead);
    if (piece !== null) return piece;
    const question = this.nextQuestion();
    if (question !== null) return question;
    const isComplete = this.completeBytes === this.shape.sizeBytes && this.begun.size === 0;
    if (!isComplete || this.syncingBytes !== null) return null;
    if (!this.isSynced) return this.sync();
    const isKnown = this.knownBytes === this.shape.sizeBytes && this.changed.length === 0 && this.ready.length === 0;
    assert(isKnown && this.durableBytes === this.shape.sizeBytes, 'A pull is done before all of its content is there');
    return { kind: 'done' };
  }

  /** Takes an answer to CHANGES: pairs of sectors and states, beginning at the position of the question. */
  changesAnswered(pairs: readonly number[]): void {
    const endBytes = this.answeredEnd('changes');
    this.eachRun(pairs, this.knownBytes, endBytes, (run, state) => {
      if (state !== CHANGE.UNCHANGED) this.changed.push(run);
      this.knownBytes = run.offsetBytes + run.lengthBytes;
    });
    this.skipUnchanged();
  }

  /** Takes an answer to EXTENTS. Null: the peer cannot tell data from holes, so that everything counts as data. */
  extentsAnswered(pairs: readonly number[] | null): void {
    const endBytes = this.answeredEnd('extents');
    const known = pairs ?? [(endBytes - this.resolvedBytes) / SECTOR_BYTES, EXTENT.DATA];
    this.eachRun(known, this.resolvedBytes, endBytes, (run, state) => {
      this.divide(run.offsetBytes + run.lengthBytes, state === EXTENT.HOLE);
    });
    this.skipUnchanged();
  }

  /** Called when a piece is in the file, which need not be durable yet. */
  completed(piece: Piece): void {
    assert(this.begun.delete(piece), 'A piece ends once');
    this.isSynced = false;
    if (piece.kind === 'hole') this.holes = counted(this.holes - 1, 'holes in progress');
    else {
      this.readingBytes = counted(this.readingBytes - piece.lengthBytes, 'bytes in flight');
      this.unsyncedBytes += piece.lengthBytes;
      this.done += piece.lengthBytes;
    }
  }

  /** Called when the sync is over: what was complete when it began is durable. */
  synced(): void {
    assert(this.syncingBytes !== null, 'A sync ends once');
    this.durableBytes = Math.max(this.durableBytes, this.syncingBytes);
    this.isSynced = this.durableBytes === this.shape.sizeBytes;
    this.syncingBytes = null;
  }

  /** Everything before this position is complete. Pieces begin in the order of the file, so the first one of `begun` is the lowest. */
  private get completeBytes(): number {
    const [first] = this.begun;
    return (first ?? this.ready[0])?.offsetBytes ?? this.resolvedBytes;
  }

  private sync(): PullStep {
    assert(this.syncingBytes === null, 'Two syncs of a pull run at once');
    this.syncingBytes = this.completeBytes;
    this.unsyncedBytes = 0;
    return { kind: 'sync' };
  }

  private nextPiece(mayRead: boolean): Piece | null {
    const [first] = this.ready;
    if (first === undefined) return null;
    const { pieceBytes, holeBytes, windowBytes, holesAtOnce } = this.bounds;
    const isHole = first.kind === 'hole';
    const lengthBytes = Math.min(first.lengthBytes, isHole ? holeBytes : pieceBytes);
    if (isHole ? this.holes >= holesAtOnce : !mayRead || this.readingBytes + lengthBytes > windowBytes) return null;
    const piece = { ...first, lengthBytes };
    if (lengthBytes === first.lengthBytes) this.ready.shift();
    else this.ready[0] = { ...first, offsetBytes: first.offsetBytes + lengthBytes, lengthBytes: first.lengthBytes - lengthBytes };
    this.begun.add(piece);
    if (isHole) this.holes++;
    else this.readingBytes += lengthBytes;
    return piece;
  }

  private nextQuestion(): PullStep | null {
    const { rangesAhead } = this.bounds;
    const { changed, knownBytes, resolvedBytes, asked, ready } = this;
    if (asked.extents === null && changed.length > 0 && ready.length < rangesAhead) return this.ask('extents', resolvedBytes, knownBytes);
    const isShort = changed.length + ready.length < rangesAhead;
    if (asked.changes === null && knownBytes < this.shape.sizeBytes && isShort)
      return this.ask('changes', knownBytes, this.shape.sizeBytes);
    return null;
  }

  private ask(kind: 'changes' | 'extents', offsetBytes: number, endBytes: number): PullStep {
    const lengthBytes = Math.min(endBytes - offsetBytes, this.bounds.askBytes);
    this.asked[kind] = offsetBytes + lengthBytes;
    return kind === 'changes' ? { kind, offsetBytes, lengthBytes } : { kind, offsetBytes, lengthBytes };
  }

  private answeredEnd(kind: 'changes' | 'extents'): number {
    const endBytes = this.asked[kind];
    assert(endBytes !== null, 'A question is answered once');
    this.asked[kind] = null;
    return endBytes;
  }

  /** Calls `each` for the runs of an answer. An answer covers at least a sector, and what it says beyond `toBytes` is ignored. */
  private eachRun(pairs: readonly number[], fromBytes: number, toBytes: number, each: (run: Range, state: number) => void): void {
    let offsetBytes = fromBytes;
    for (let index = 0; index + 1 < pairs.length && offsetBytes < toBytes; index += 2) {
      const lengthBytes = Math.min(pairs[index]! * SECTOR_BYTES, toBytes - offsetBytes);
      each({ offsetBytes, lengthBytes }, pairs[index + 1]!);
      offsetBytes += lengthBytes;
    }
    assert(offsetBytes > fromBytes, 'An answer about ranges covers something');
  }

  /** What is known to be unchanged needs no question about its extents. EXTENTS therefore always begins at a changed range. */
  private skipUnchanged(): void {
    this.resolvedBytes = Math.max(this.resolvedBytes, this.changed[0]?.offsetBytes ?? this.knownBytes);
  }

  /** Makes pieces of the changed ranges between `resolvedBytes` and `toBytes`, all of which are data or a hole. */
  private divide(toBytes: number, isHole: boolean): void {
    while (this.changed.length > 0) {
      const { offsetBytes, lengthBytes } = this.changed[0]!;
      const endBytes = offsetBytes + lengthBytes;
      if (offsetBytes >= toBytes) break;
      this.make(offsetBytes, Math.min(endBytes, toBytes), isHole);
      if (endBytes > toBytes) {
        this.changed[0] = { offsetBytes: toBytes, lengthBytes: endBytes - toBytes };
        break;
      }
      this.changed.shift();
    }
    this.resolvedBytes = toBytes;
  }

  /** A block that is only partly a hole, or partly changed, is read as a whole. */
  private make(fromBytes: number, toBytes: number, isHole: boolean): void {
    const { blockBytes } = this.shape;
    const [begin, end] = [floor(fromBytes, blockBytes), ceil(toBytes, blockBytes)];
    const [holeBegin, holeEnd] = [ceil(fromBytes, blockBytes), floor(toBytes, blockBytes)];
    if (!isHole || holeEnd <= holeBegin) return this.add('read', begin, end);
    this.add('read', begin, holeBegin);
    this.add('hole', holeBegin, holeEnd);
    this.add('read', holeEnd, end);
  }

  private add(kind: Piece['kind'], fromBytes: number, toBytes: number): void {
    const offsetBytes = Math.max(fromBytes, this.madeBytes);
    if (toBytes <= offsetBytes) return;
    this.madeBytes = toBytes;
    if (kind === 'hole' && this.shape.isBlank) return;
    if (kind === 'read') this.total += toBytes - offsetBytes;
    const last = this.ready.at(-1);
    const isNext = last !== undefined && last.kind === kind && last.offsetBytes + last.lengthBytes === offsetBytes;
    if (isNext) this.ready[this.ready.length - 1] = { ...last, lengthBytes: toBytes - last.offsetBytes };
    else this.ready.push({ kind, offsetBytes, lengthBytes: toBytes - offsetBytes });
  }
}

function floor(bytes: number, unit: number): number {
  return bytes - (bytes % unit);
}

function ceil(bytes: number, unit: number): number {
  return Math.ceil(bytes / unit) * unit;
}
