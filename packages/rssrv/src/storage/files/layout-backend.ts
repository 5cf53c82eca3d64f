// The backend of a volume of several files: splits each request and executes its portions at the same time. The backends of the files
// execute the operations, and detect truncation. Invariants: a request is answered after all of its portions have ended, and succeeds
// only if each portion has succeeded. A flush covers every write, in all files, that ended before the flush was requested. After the sync
// of one file has failed, all later flushes fail. A portion counts as one call in the volume's share of the threads.

import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import { type Backend, type BackendCapabilities, type ExtentsDone, type IoDone, type PartBackend, WOULD_WAIT } from '../io/backend.ts';
import type { StorageEnd } from '../io/file-end.ts';
import { FlushGate, forgetNothing } from '../io/flush-gate.ts';
import { type IoEnd, SHORT_READ, statusOf } from '../io/positioned-io.ts';
import type { ThreadLane } from '../io/thread-shares.ts';
import { mergedExtents } from './layout-extents.ts';
import type { LayoutMap, Portion } from './layout-map.ts';
import { EXTENT_CHUNKS_MAX, SYNCS_AT_A_TIME } from '../limits.ts';

interface Part {
  readonly backend: PartBackend;
  /**
   * True if the file may have changes that no sync covers. Initially true, because a killed process may have left unsynced changes in
   * the file.
   */
  isDirty: boolean;
}

export class LayoutBackend implements Backend {
  readonly sizeBytes: number;
  readonly capabilities: BackendCapabilities;
  readonly end: StorageEnd;
  private readonly map: LayoutMap;
  private readonly parts: readonly Part[];
  private readonly lane: ThreadLane;
  private readonly left: () => void;
  private readonly gate = new FlushGate(
    (end) => this.syncAll(end),
    forgetNothing,
    // Nothing to report here, because the backends of the files have already reported the error.
    () => undefined,
  );
  private isLeft = false;

  /** `lane`: the lane of the volume. `left` is called once when the backend is closed. */
  constructor(backends: readonly PartBackend[], map: LayoutMap, sizeBytes: number, lane: ThreadLane, left: () => void) {
    const all = (test: (capabilities: BackendCapabilities) => boolean): boolean => backends.every((one) => test(one.capabilities));
    this.sizeBytes = sizeBytes;
    this.map = map;
    this.lane = lane;
    this.left = left;
    this.parts = backends.map((backend) => ({ backend, isDirty: true }));
    this.end = new LayoutEnd(
      backends.map(({ end }) => end),
      map,
    );
    this.capabilities = {
      type: 'file',
      readonly: backends.some(({ capabilities }) => capabilities.readonly),
      canDiscard: all(({ canDiscard }) => canDiscard),
      canZeroFast: all(({ canZeroFast }) => canZeroFast),
      canExtents: all(({ canExtents }) => canExtents),
    };
  }

  tryRead(target: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    const { map } = this;
    map.seek(positionBytes);
    if (map.runBytes >= lengthBytes) return this.backend(map.part).tryRead(target, offset, lengthBytes, map.partPositionBytes);
    for (const portion of map.split(positionBytes, lengthBytes)) {
      const backend = this.backend(portion.part);
      const status = isOnePiece(portion)
        ? backend.tryRead(target, offset + (portion.pieces[0] ?? 0), portion.lengthBytes, portion.positionBytes)
        : backend.tryReadPieces(piecesOf(target, offset, portion), portion.lengthBytes, portion.positionBytes);
      if (status !== STATUS.OK) return status;
    }
    return STATUS.OK;
  }

  tryWrite(source: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    const { map } = this;
    map.seek(positionBytes);
    if (map.runBytes >= lengthBytes) {
      const { part, partPositionBytes } = map;
      const status = this.backend(part).tryWrite(source, offset, lengthBytes, partPositionBytes);
      this.changed(part);
      return status;
    }
    for (const portion of map.split(positionBytes, lengthBytes)) {
      const backend = this.backend(portion.part);
      const status = isOnePiece(portion)
        ? backend.tryWrite(source, offset + (portion.pieces[0] ?? 0), portion.lengthBytes, portion.positionBytes)
        : backend.tryWritePieces(piecesOf(source, offset, portion), portion.lengthBytes, portion.positionBytes);
      this.changed(portion.part);
      if (status !== STATUS.OK) return status;
    }
    return STATUS.OK;
  }

  read(target: Buffer, offset: number, lengthBytes: number, positionBytes: number, done: IoDone): void {
    const { map } = this;
    map.seek(positionBytes);
    if (map.runBytes >= lengthBytes) {
      const { part, partPositionBytes } = map;
      this.run(part, done, (backend, end) => backend.read(target, offset, lengthBytes, partPositionBytes, end));
      return;
    }
    const portions = map.split(positionBytes, lengthBytes);
    const end = joined(portions.length, done);
    for (const portion of portions)
      this.run(portion.part, end, (backend, ended) =>
        backend.readPieces(piecesOf(target, offset, portion), portion.lengthBytes, portion.positionBytes, ended),
      );
  }

  write(source: Buffer, offset: number, lengthBytes: number, positionBytes: number, fua: boolean, done: IoDone): void {
    const { map } = this;
    map.seek(positionBytes);
    if (map.runBytes >= lengthBytes) {
      const { part, partPositionBytes } = map;
      this.change(part, done, (backend, end) => backend.write(source, offset, lengthBytes, partPositionBytes, fua, end));
      return;
    }
    const portions = map.split(positionBytes, lengthBytes);
    const end = joined(portions.length, done);
    for (const portion of portions)
      this.change(portion.part, end, (backend, ended) =>
        backend.writePieces(piecesOf(source, offset, portion), portion.lengthBytes, portion.positionBytes, fua, ended),
      );
  }

  flush(done: IoDone): void {
    this.gate.flush(done);
  }

  discard(positionBytes: number, lengthBytes: number, done: IoDone): void {
    this.changeRange(positionBytes, lengthBytes, done, (backend, position, length, end) => backend.discard(position, length, end));
  }

  zero(positionBytes: number, lengthBytes: number, keepAllocated: boolean, fua: boolean, done: IoDone): void {
    this.changeRange(positionBytes, lengthBytes, done, (backend, position, length, end) =>
      backend.zero(position, length, keepAllocated, fua, end),
    );
  }

  extents(positionBytes: number, lengthBytes: number, done: ExtentsDone): void {
    const { chunkBytes } = this.map;
    const coveredBytes = chunkBytes === null ? lengthBytes : Math.min(lengthBytes, chunkBytes * EXTENT_CHUNKS_MAX);
    const ranges = this.rangesOf(positionBytes, coveredBytes);
    const found: number[][] = this.parts.map(() => []);
    const end = joined(ranges.length, (status) =>
      done(status, status === STATUS.OK ? mergedExtents(this.map, positionBytes, coveredBytes, found) : []),
    );
    for (const range of ranges)
      this.lane.run((ended) =>
        this.backend(range.part).extents(range.positionBytes, range.lengthBytes, (status, pairs) => {
          found[range.part] = pairs;
          end(status);
          ended();
        }),
      );
  }

  async close(): Promise<void> {
    await Promise.all(this.parts.map(({ backend }) => backend.close()));
    if (!this.isLeft) this.left();
    this.isLeft = true;
  }

  /**
   * Syncs the changed files. Does not sync unchanged files, but checks their sizes, because a flush must also detect truncation. Syncs few
   * files at a time, so that a volume whose storage hangs leaves threads to other volumes.
   */
  private syncAll(end: IoEnd): void {
    let next = 0;
    let failed: Status = STATUS.OK;
    let running = Math.min(SYNCS_AT_A_TIME, this.parts.length);
    const syncNext = (): void => {
      const part = this.parts[next++];
      if (part !== undefined) syncPart(part, ended);
      else if (--running === 0) end(errnoOf(failed));
    };
    const ended: IoDone = (status) => {
      if (gravity(status) > gravity(failed)) failed = status;
      syncNext();
    };
    for (let count = running; count > 0; count--) syncNext();
  }

  private backend(part: number): PartBackend {
    return this.parts[part]!.backend;
  }

  private changed(part: number): void {
    this.parts[part]!.isDirty = true;
  }

  private run(part: number, done: IoDone, start: (backend: PartBackend, end: IoDone) => void): void {
    this.lane.run((ended) =>
      start(this.backend(part), (status) => {
        // Answer before returning the thread, like thread-share-backend.ts.
        done(status);
        ended();
      }),
    );
  }

  /**
   * Executes a change of one file. The file becomes dirty when the change ends, because a flush that began earlier does not cover the
   * change.
   */
  private change(part: number, done: IoDone, start: (backend: PartBackend, end: IoDone) => void): void {
    const ended: IoDone = (status) => {
      this.changed(part);
      done(status);
    };
    this.run(part, ended, start);
  }

  private changeRange(
    positionBytes: number,
    lengthBytes: number,
    done: IoDone,
    start: (backend: PartBackend, positionBytes: number, lengthBytes: number, end: IoDone) => void,
  ): void {
    const ranges = this.rangesOf(positionBytes, lengthBytes);
    const end = joined(ranges.length, done);
    for (const range of ranges)
      this.change(range.part, end, (backend, ended) => start(backend, range.positionBytes, range.lengthBytes, ended));
  }

  private rangesOf(positionBytes: number, lengthBytes: number): { part: number; positionBytes: number; lengthBytes: number }[] {
    const ranges = [];
    for (let part = 0; part < this.parts.length; part++) {
      const beginBytes = this.map.bytesBefore(part, positionBytes);
      const endBytes = this.map.bytesBefore(part, positionBytes + lengthBytes);
      if (endBytes > beginBytes) ranges.push({ part, positionBytes: beginBytes, lengthBytes: endBytes - beginBytes });
    }
    return ranges;
  }
}

/** Detects truncation of the files of a volume. The volume counts as truncated as soon as one of its files is truncated. */
class LayoutEnd implements StorageEnd {
  private readonly ends: readonly StorageEnd[];
  private readonly map: LayoutMap;

  constructor(ends: readonly StorageEnd[], map: LayoutMap) {
    this.ends = ends;
    this.map = map;
  }

  get isCut(): boolean {
    return this.ends.some(({ isCut }) => isCut);
  }

  get needsCheck(): boolean {
    return this.ends.some(({ needsCheck }) => needsCheck);
  }

  grow(sizeBytes: number): void {
    for (const [part, end] of this.ends.entries()) end.grow(this.map.partBytes(part, sizeBytes));
  }

  /** Checks one file after another, so that a volume whose storage hangs occupies only one thread. */
  check(end: IoEnd): void {
    let next = 0;
    const checkNext = (errno: string | null): void => {
      const one = this.ends[next++];
      if (errno !== null || one === undefined) end(errno);
      else one.check(checkNext);
    };
    checkNext(null);
  }
}

function syncPart(part: Part, end: IoDone): void {
  if (!part.isDirty) {
    part.backend.end.check((errno) => end(errno === null ? STATUS.OK : statusOf(errno)));
    return;
  }
  part.isDirty = false;
  part.backend.flush(end);
}

/**
 * Returns true if the memory of the portion is one piece. A portion with one piece is transferred without a vector, because a vector would
 * cost more than the transfer of a small piece.
 */
function isOnePiece({ pieces }: Portion): boolean {
  return pieces.length === 2;
}

function piecesOf(buffer: Buffer, offset: number, { pieces }: Portion): Buffer[] {
  const views: Buffer[] = [];
  for (let index = 0; index < pieces.length; index += 2) {
    const begin = offset + (pieces[index] ?? 0);
    views.push(buffer.subarray(begin, begin + (pieces[index + 1] ?? 0)));
  }
  return views;
}

/** Returns a function that must be called `count` times, each time with a status. The last call calls `done` with the worst status. */
function joined(count: number, done: IoDone): IoDone {
  let [left, worst]: [number, Status] = [count, STATUS.OK];
  return (status) => {
    if (gravity(status) > gravity(worst)) worst = status;
    if (--left === 0) done(worst);
  };
}

/**
 * Returns the severity of a status. NO_SPACE is the mildest error, because the change is then repeated. The errors after which writes
 * may be lost are the gravest.
 */
function gravity(status: Status): number {
  switch (status) {
    case STATUS.OK:
      return 0;
    case STATUS.NO_SPACE:
      return 1;
    case STATUS.VOLUME_UNAVAILABLE:
      return 2;
    default:
      return 3;
  }
}

/** Returns the errno that `statusOf` converts to this status; null for OK. */
function errnoOf(status: Status): string | null {
  if (status === STATUS.OK) return null;
  return status === STATUS.VOLUME_UNAVAILABLE ? SHORT_READ : statusEntry(status).errno;
}
