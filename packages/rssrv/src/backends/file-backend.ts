// The backend of everything that is reached through a descriptor: regular files, block devices, files in memory.
// How it is opened and what is particular to each kind is in opened-file.ts and its callers; how holes are made is in
// range-operations.ts. Invariant: data handed out was read from the storage whole; a flush answered OK covers every write
// that had ended before the flush was asked for; after `close` resolves no system call of this backend runs.

import fs from 'node:fs';
import { assert } from '@rsio/protocol/lib/assert';
import { errnoName } from '@rsio/protocol/lib/errors';
import { STATUS, type Status, statusOfErrno } from '@rsio/protocol/wire/status';
import { type Backend, type BackendCapabilities, type ExtentsDone, type IoDone, WOULD_WAIT } from './backend.ts';
import { CompletionGroup } from './completion-group.ts';
import { FlushGate } from './flush-gate.ts';
import type { Pace } from './pace.ts';
import type { BackendOperation, BackendPorts } from './ports.ts';
import { type IoEnd, readWhole, readWholeSync, writeWhole, writeWholeSync } from './positioned-io.ts';
import type { RangeFile } from './range-helper.ts';
import { RangeOperations } from './range-operations.ts';

export interface FileBackendParts {
  readonly type: 'file' | 'block' | 'memory';
  readonly descriptor: number;
  /** The same file opened O_DSYNC, for FUA; null: read-only, or nothing outlives the memory anyway. */
  readonly syncedDescriptor: number | null;
  readonly sizeBytes: number;
  readonly readonly: boolean;
  /** Null: always at once. */
  readonly pace: Pace | null;
  readonly range: RangeFile | null;
}

/** In place of a closed descriptor, whose number may by now be another file's. */
const CLOSED = -1;

export class FileBackend implements Backend {
  readonly sizeBytes: number;
  readonly capabilities: BackendCapabilities;
  private readonly parts: FileBackendParts;
  private descriptor: number;
  private syncedDescriptor: number | null;
  private readonly onError: BackendPorts['onError'];
  private readonly gate: FlushGate;
  private readonly ranges: RangeOperations;
  private readonly ended = new CompletionGroup();
  private running = 0;
  private closing: Promise<void> | null = null;
  private whenIdle: (() => void) | null = null;

  constructor(parts: FileBackendParts, onError: BackendPorts['onError']) {
    this.parts = parts;
    this.descriptor = parts.descriptor;
    this.syncedDescriptor = parts.syncedDescriptor;
    this.onError = onError;
    this.sizeBytes = parts.sizeBytes;
    this.gate = new FlushGate(
      (end) => this.sync(end),
      (errno) => onError('flush', errno),
    );
    this.ranges = new RangeOperations(parts.descriptor, parts.range);
    const canPunch = parts.range?.canPunch === true;
    this.capabilities = {
      type: parts.type,
      readonly: parts.readonly,
      canDiscard: canPunch,
      canZeroFast: canPunch,
      canExtents: parts.range?.canExtents === true,
    };
  }

  tryRead(target: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    const { pace } = this.parts;
    if (pace !== null && !pace.enter()) return WOULD_WAIT;
    const errno = readWholeSync(this.descriptor, target, offset, lengthBytes, positionBytes);
    pace?.leave(lengthBytes);
    return errno === null ? STATUS.OK : this.failed('read', errno);
  }

  tryWrite(source: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    const { pace } = this.parts;
    if (pace !== null && !pace.enter()) return WOULD_WAIT;
    const errno = writeWholeSync(this.descriptor, source, offset, lengthBytes, positionBytes);
    pace?.leave(lengthBytes);
    return errno === null ? STATUS.OK : this.failed('write', errno);
  }

  read(target: Buffer, offset: number, lengthBytes: number, positionBytes: number, done: IoDone): void {
    readWhole(this.descriptor, target, offset, lengthBytes, positionBytes, this.begin('read', done));
  }

  write(source: Buffer, offset: number, lengthBytes: number, positionBytes: number, fua: boolean, done: IoDone): void {
    const descriptor = fua ? (this.syncedDescriptor ?? this.descriptor) : this.descriptor;
    writeWhole(descriptor, source, offset, lengthBytes, positionBytes, this.begin('write', done));
  }

  flush(done: IoDone): void {
    this.enter();
    this.gate.flush((status) => this.leave(done, status));
  }

  discard(positionBytes: number, lengthBytes: number, done: IoDone): void {
    this.ranges.discard(positionBytes, lengthBytes, this.begin('discard', done));
  }

  zero(positionBytes: number, lengthBytes: number, keepAllocated: boolean, fua: boolean, done: IoDone): void {
    const durable: IoDone = (status) => {
      if (status === STATUS.OK && fua) this.flush(done);
      else done(status);
    };
    this.ranges.zero(positionBytes, lengthBytes, keepAllocated, this.begin('zero', durable));
  }

  extents(positionBytes: number, lengthBytes: number, done: ExtentsDone): void {
    let pairs: number[] = [];
    const end = this.begin('extents', (status) => done(status, status === STATUS.OK ? pairs : []));
    this.ranges.extents(positionBytes, lengthBytes, (errno, found) => {
      pairs = found;
      end(errno);
    });
  }

  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  private async closeAll(): Promise<void> {
    if (this.running > 0) {
      await new Promise<void>((resolve) => {
        this.whenIdle = resolve;
      });
    }
    await this.parts.range?.detach();
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

  /** Makes durable what was written before the call. */
  private sync(end: IoEnd): void {
    if (this.syncedDescriptor === null) {
      setImmediate(end, null);
      return;
    }
    fs.fdatasync(this.descriptor, (error) => end(error === null ? null : (errnoName(error) ?? 'EIO')));
  }

  /** Counts an operation in; what it returns counts it out and answers. */
  private begin(operation: BackendOperation, done: IoDone): IoEnd {
    this.enter();
    return (errno) => this.ended.add(() => this.leave(done, errno === null ? STATUS.OK : this.failed(operation, errno)));
  }

  private enter(): void {
    assert(this.closing === null || this.running > 0, 'A backend was used after its close');
    this.running++;
  }

  private leave(done: IoDone, status: Status): void {
    // First the answer: one that asks for more (a flush behind a zero) keeps the backend open.
    done(status);
    this.running--;
    if (this.running === 0) this.whenIdle?.();
  }

  private failed(operation: BackendOperation, errno: string): Status {
    this.onError(operation, errno);
    return statusOfErrno(errno);
  }
}
