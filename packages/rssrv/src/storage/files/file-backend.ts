// The backend for all storage that is accessed through a file descriptor: regular files, block devices and files in memory. The module
// opened-file.ts opens the storage, and file-end.ts detects truncation. Invariants: a read succeeds only if it has read all requested data,
// and the file then still has the size of the volume. A successful flush covers every write that ended before the flush was requested. A successful flush also proves that the file was not
// truncated when the flush was requested. Once `close` has resolved, no system call of this backend is running. Rules: O2.

import { InFlight } from '@rsio/base/structures/in-flight';
import fs from 'node:fs';
import { assert } from '@rsio/base/lib/assert';
import { errnoName } from '@rsio/base/lib/errors';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { type BackendCapabilities, type ExtentsDone, type IoDone, type PartBackend, WOULD_WAIT } from '../io/backend.ts';
import { type CachedReads, NOT_SUPPORTED } from '../io/cached-reads.ts';
import type { DropPages } from '../io/drop-pages.ts';
import { FileEnd } from '../io/file-end.ts';
import type { FileSize } from '../io/file-size.ts';
import { FlushGate } from '../io/flush-gate.ts';
import { SyncedWrites } from '../io/synced-writes.ts';
import type { InlinePolicy } from '../io/inline-policy.ts';
import {
  type IoEnd,
  readPieces,
  readPiecesSync,
  readWhole,
  readWholeSync,
  SHORT_READ,
  statusOf,
  writePieces,
  writePiecesSync,
  writeWhole,
  writeWholeSync,
} from '../io/positioned-io.ts';
import type { RangeFile } from './range-file.ts';
import { RangeOperations } from './range-operations.ts';
import type { BackendOperation, BackendPorts } from './backend-ports.ts';

export interface FileBackendParts {
  readonly type: 'file' | 'block' | 'memory';
  readonly descriptor: number;
  /** Second descriptor of the file, opened with O_DSYNC for FUA writes; null if the storage is read-only or in memory. */
  readonly syncedDescriptor: number | null;
  readonly sizeBytes: number;
  readonly readonly: boolean;
  /** Decides whether a call may be made on the event loop. If `inline` is null, every call may be made on the event loop. */
  readonly inline: InlinePolicy | null;
  /**
   * Reads cached data without waiting. If `cached` is null, the C library or the storage does not support such reads, and `inline` also
   * decides about reads.
   */
  readonly cached: CachedReads | null;
  /** Called if the storage does not support reads without waiting. */
  readonly onGuess?: (() => void) | undefined;
  readonly range: RangeFile;
  /** Returns the size of the file on the calling thread. */
  readonly fileSize: FileSize;
  /** Drops the cached pages after a failed sync; null if the storage is in memory. */
  readonly dropPages: DropPages | null;
}

/** Replaces the number of a closed descriptor, because the kernel may reuse that number for another file. */
const CLOSED = -1;

export class FileBackend implements PartBackend {
  readonly sizeBytes: number;
  readonly capabilities: BackendCapabilities;
  readonly end: FileEnd;
  private readonly parts: FileBackendParts;
  private descriptor: number;
  private syncedDescriptor: number | null;
  private cached: CachedReads | null;
  private readonly onError: BackendPorts['onError'];
  private readonly gate: FlushGate;
  private readonly synced = new SyncedWrites();
  private readonly ranges: RangeOperations;
  private readonly ended = new CompletionGroup();
  private readonly inFlight = new InFlight();
  private closing: Promise<void> | null = null;

  constructor(parts: FileBackendParts, onError: BackendPorts['onError']) {
    this.parts = parts;
    this.descriptor = parts.descriptor;
    this.syncedDescriptor = parts.syncedDescriptor;
    this.cached = parts.cached;
    this.onError = onError;
    this.sizeBytes = parts.sizeBytes;
    this.end = new FileEnd(parts.descriptor, parts.sizeBytes, parts.type !== 'block', parts.fileSize);
    this.gate = new FlushGate(
      (end) => this.sync(end),
      (end) => this.forget(end),
      (errno) => onError('flush', errno),
    );
    this.ranges = new RangeOperations(parts.descriptor, parts.range);
    const { canPunch, canExtents } = parts.range;
    this.capabilities = {
      type: parts.type,
      readonly: parts.readonly,
      canDiscard: canPunch,
      canZeroFast: canPunch,
      canExtents,
    };
  }

  tryRead(target: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    if (!this.mayRead(lengthBytes, positionBytes)) return WOULD_WAIT;
    if (this.cached !== null) {
      const end = this.cached.tryRead(this.descriptor, target, offset, lengthBytes, positionBytes);
      if (end !== NOT_SUPPORTED) return end === STATUS.OK ? this.looked('read') : end;
      this.guessFromNow();
    }
    if (!this.mayRunInline()) return WOULD_WAIT;
    return this.inlineEnded('read', lengthBytes, readWholeSync(this.descriptor, target, offset, lengthBytes, positionBytes));
  }

  tryReadPieces(target: readonly Buffer[], lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    if (!this.mayRead(lengthBytes, positionBytes)) return WOULD_WAIT;
    if (this.cached !== null) {
      const end = this.cached.tryReadPieces(this.descriptor, target, positionBytes);
      if (end !== NOT_SUPPORTED) return end === STATUS.OK ? this.looked('read') : end;
      this.guessFromNow();
    }
    if (!this.mayRunInline()) return WOULD_WAIT;
    return this.inlineEnded('read', lengthBytes, readPiecesSync(this.descriptor, target, lengthBytes, positionBytes));
  }

  tryWrite(source: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    if (!this.mayWriteInline(lengthBytes, positionBytes)) return WOULD_WAIT;
    return this.inlineEnded('write', lengthBytes, writeWholeSync(this.descriptor, source, offset, lengthBytes, positionBytes));
  }

  tryWritePieces(source: readonly Buffer[], lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    if (!this.mayWriteInline(lengthBytes, positionBytes)) return WOULD_WAIT;
    return this.inlineEnded('write', lengthBytes, writePiecesSync(this.descriptor, source, lengthBytes, positionBytes));
  }

  read(target: Buffer, offset: number, lengthBytes: number, positionBytes: number, done: IoDone): void {
    const end = this.begin('read', done);
    this.end.touches(positionBytes, lengthBytes);
    if (this.end.isCut) setImmediate(end, SHORT_READ);
    else readWhole(this.descriptor, target, offset, lengthBytes, positionBytes, end);
  }

  write(source: Buffer, offset: number, lengthBytes: number, positionBytes: number, fua: boolean, done: IoDone): void {
    const [descriptor, end] = this.beginWrite(fua, done);
    if (this.end.touches(positionBytes, lengthBytes) || this.end.isCut)
      this.end.check((errno) => (errno === null ? writeWhole(descriptor, source, offset, lengthBytes, positionBytes, end) : end(errno)));
    else writeWhole(descriptor, source, offset, lengthBytes, positionBytes, end);
  }

  readPieces(target: readonly Buffer[], lengthBytes: number, positionBytes: number, done: IoDone): void {
    const end = this.begin('read', done);
    this.end.touches(positionBytes, lengthBytes);
    if (this.end.isCut) setImmediate(end, SHORT_READ);
    else readPieces(this.descriptor, target, lengthBytes, positionBytes, end);
  }

  writePieces(source: readonly Buffer[], lengthBytes: number, positionBytes: number, fua: boolean, done: IoDone): void {
    const [descriptor, end] = this.beginWrite(fua, done);
    this.whenWhole(positionBytes, lengthBytes, end, () => writePieces(descriptor, source, lengthBytes, positionBytes, end));
  }

  private beginWrite(fua: boolean, done: IoDone): [descriptor: number, end: IoEnd] {
    const end = this.begin('write', done);
    return fua && this.syncedDescriptor !== null ? [this.syncedDescriptor, this.synced.begin(end)] : [this.descriptor, end];
  }

  flush(done: IoDone): void {
    this.enter();
    this.gate.flush((status) => this.leave(done, status));
  }

  discard(positionBytes: number, lengthBytes: number, done: IoDone): void {
    const end = this.begin('discard', done);
    this.whenWhole(positionBytes, lengthBytes, end, () => this.ranges.discard(positionBytes, lengthBytes, end));
  }

  zero(positionBytes: number, lengthBytes: number, keepAllocated: boolean, fua: boolean, done: IoDone): void {
    const durable: IoDone = (status) => {
      if (status === STATUS.OK && fua) this.flush(done);
      else done(status);
    };
    const end = this.begin('zero', durable);
    this.whenWhole(positionBytes, lengthBytes, end, () => this.ranges.zero(positionBytes, lengthBytes, keepAllocated, end));
  }

  extents(positionBytes: number, lengthBytes: number, done: ExtentsDone): void {
    let pairs: number[] = [];
    const end = this.begin('extents', (status) => done(status, status === STATUS.OK ? pairs : []));
    this.ranges.extents(positionBytes, lengthBytes, (errno, found) => {
      pairs = found;
      // Check the size, because the missing part of a truncated file must not be reported as a hole.
      if (errno === null) this.end.check(end);
      else end(errno);
    });
  }

  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  private async closeAll(): Promise<void> {
    if (this.inFlight.count > 0) await this.inFlight.whenIdle();
    this.descriptor = CLOSED;
    this.syncedDescriptor = CLOSED;
    for (const descriptor of [this.parts.descriptor, this.parts.syncedDescriptor]) {
      if (descriptor === null) continue;
      await new Promise<void>((resolve) => {
        fs.close(descriptor, (error) => {
          if (error) this.onError('close', errnoName(error) ?? 'EIO');
          resolve();
        });
      });
    }
  }

  private mayRead(lengthBytes: number, positionBytes: number): boolean {
    this.end.touches(positionBytes, lengthBytes);
    return !this.end.isCut;
  }

  private mayRunInline(): boolean {
    return this.parts.inline?.mayRunInline() ?? true;
  }

  /** Called when the storage does not support reads without waiting, so that `inline` decides about reads. */
  private guessFromNow(): void {
    this.cached = null;
    this.parts.onGuess?.();
  }

  private mayWriteInline(lengthBytes: number, positionBytes: number): boolean {
    if (this.end.touches(positionBytes, lengthBytes) || this.end.isCut) return false;
    return this.mayRunInline();
  }

  private inlineEnded(operation: BackendOperation, lengthBytes: number, errno: string | null): Status {
    this.parts.inline?.inlineEnded(lengthBytes);
    return errno === null ? this.looked(operation) : this.failed(operation, errno);
  }

  /** Returns the status of an operation that has succeeded on the loop: it counts only if the file still has its size. */
  private looked(operation: BackendOperation): Status {
    const errno = this.end.look();
    return errno === null ? STATUS.OK : this.failed(operation, errno);
  }

  private sync(end: IoEnd): void {
    if (this.syncedDescriptor === null) {
      this.end.check(end);
      return;
    }
    fs.fdatasync(this.descriptor, (error) => {
      if (error === null) this.end.check(end);
      else end(errnoName(error) ?? 'EIO');
    });
  }

  private forget(end: () => void): void {
    const { dropPages } = this.parts;
    if (dropPages === null) end();
    else dropPages(this.descriptor, end);
  }

  /**
   * Runs `work`, which may extend the file. If `work` could hide that the file has been truncated, the size is checked first. `work` does
   * not run on a truncated file.
   */
  private whenWhole(positionBytes: number, lengthBytes: number, end: IoEnd, work: () => void): void {
    if (!this.end.touches(positionBytes, lengthBytes) && !this.end.isCut) {
      work();
      return;
    }
    this.end.check((errno) => {
      if (errno === null) work();
      else end(errno);
    });
  }

  /** Counts an operation as in progress. The caller must pass the result to the returned function, which ends the operation. */
  private begin(operation: BackendOperation, done: IoDone): IoEnd {
    this.enter();
    const leave: IoEnd = (errno) => this.leave(done, errno === null ? STATUS.OK : this.failed(operation, errno));
    return (errno) =>
      this.ended.add(() => {
        if (errno !== null) leave(errno);
        // Storage that has no reads without waiting may also let the loop wait for the size.
        else if (this.cached === null && this.parts.inline !== null) this.end.check(leave);
        else leave(this.end.look());
      });
  }

  private enter(): void {
    assert(this.closing === null || this.inFlight.count > 0, 'A backend was used after its close');
    this.inFlight.begin();
    this.parts.inline?.poolBegan();
    // Use `parts.cached` and not `cached`: `guessFromNow` may remove `cached` between the start and the end of a call, and both the start
    // and the end must be counted.
    this.parts.cached?.poolBegan();
  }

  private leave(done: IoDone, status: Status): void {
    // Call `done` before counting the operation as ended, because `done` may start another operation, such as a flush after zeroing.
    // Counting first would let the backend close before the new operation starts.
    done(status);
    this.inFlight.end();
    this.parts.inline?.poolEnded();
    this.parts.cached?.poolEnded();
  }

  private failed(operation: BackendOperation, errno: string): Status {
    if (errno === SHORT_READ) this.end.cut();
    this.onError(operation, errno);
    return statusOf(errno);
  }
}

export class CompletionGroup {
  private ends: (() => void)[] = [];

  add(end: () => void): void {
    this.ends.push(end);
    // setImmediate runs `callAll` after the callbacks of all operations that have already ended, so one call answers all of them.
    if (this.ends.length === 1) setImmediate(() => this.callAll());
  }

  private callAll(): void {
    const { ends } = this;
    this.ends = [];
    for (const end of ends) end();
  }
}
