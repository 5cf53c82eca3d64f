// A backend wrapper for tests: writes stay in an UnsyncedStore until a flush moves them to the storage. FUA writes go directly to the
// storage. If the machine crashes, the writes in the store are lost (docs/HACKING.md, Faults of a volume). Invariants: a read returns the
// newest data. Once a flush has succeeded, all writes that were answered before the flush began are durable.

import { InFlight } from '@rsio/base/structures/in-flight';
import { EXTENT } from '@rsio/protocol/wire/messages';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { STATUS, type Status, statusEntry, statusOfErrno } from '@rsio/protocol/wire/status';
import { type Backend, type BackendCapabilities, type ExtentsDone, type IoDone, WOULD_WAIT } from '@rsio/rssrv/storage/io/backend';
import { FlushGate, forgetNothing } from '@rsio/rssrv/storage/io/flush-gate';
import type { BackendPorts } from '@rsio/rssrv/storage/files/backend-ports';
import type { IoEnd } from '@rsio/rssrv/storage/io/positioned-io';
import type { UnsyncedStore } from './unsynced-store.ts';
import { layOver, type UnsyncedPiece } from './unsynced-writes.ts';

export class UnsyncedBackend implements Backend {
  readonly capabilities: BackendCapabilities;
  private readonly inner: Backend;
  private readonly store: UnsyncedStore;
  private readonly onError: BackendPorts['onError'];
  private readonly released: () => void;
  private readonly gate: FlushGate;
  private readonly inFlight = new InFlight();

  /** `released` is called when the backend has been closed and no longer uses the store. */
  constructor(inner: Backend, store: UnsyncedStore, onError: BackendPorts['onError'], released: () => void) {
    this.inner = inner;
    this.store = store;
    this.onError = onError;
    this.released = released;
    // Extents are disabled, because the storage does not know the unsynced writes.
    this.capabilities = { ...inner.capabilities, canDiscard: false, canExtents: false };
    // The gate needs no error callback, because `sync` and the inner backend report their own errors.
    this.gate = new FlushGate(
      (end) => this.sync(end),
      forgetNothing,
      () => undefined,
    );
  }

  get sizeBytes(): number {
    return this.inner.sizeBytes;
  }

  get end(): Backend['end'] {
    return this.inner.end;
  }

  tryRead(target: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    const status = this.inner.tryRead(target, offset, lengthBytes, positionBytes);
    if (status === STATUS.OK) layOver(this.store.overlapping(positionBytes, lengthBytes), target, offset, lengthBytes, positionBytes);
    return status;
  }

  tryWrite(source: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    if (this.store.isFull) return WOULD_WAIT;
    return this.take(positionBytes, lengthBytes, source.subarray(offset, offset + lengthBytes));
  }

  read(target: Buffer, offset: number, lengthBytes: number, positionBytes: number, done: IoDone): void {
    // Collect the unsynced pieces before reading, because a flush may remove pieces from the store during the read.
    const pieces = this.store.overlapping(positionBytes, lengthBytes);
    const end = this.begin(done);
    this.inner.read(target, offset, lengthBytes, positionBytes, (status) => {
      if (status === STATUS.OK) layOver(pieces, target, offset, lengthBytes, positionBytes);
      end(status);
    });
  }

  write(source: Buffer, offset: number, lengthBytes: number, positionBytes: number, fua: boolean, done: IoDone): void {
    const end = this.begin(done);
    if (!fua) {
      this.takeLater(positionBytes, lengthBytes, source.subarray(offset, offset + lengthBytes), end);
      return;
    }
    this.store.takeTurn((over) => {
      this.inner.write(source, offset, lengthBytes, positionBytes, true, (status) => {
        const errno = status === STATUS.OK ? this.store.cut(positionBytes, lengthBytes) : null;
        over();
        end(errno === null ? status : this.failed('write', errno));
      });
    });
  }

  flush(done: IoDone): void {
    this.gate.flush(this.begin(done));
  }

  /** Does nothing, like a discard on storage that does not support holes. */
  discard(_positionBytes: number, _lengthBytes: number, done: IoDone): void {
    setImmediate(this.begin(done), STATUS.OK);
  }

  zero(positionBytes: number, lengthBytes: number, _keepAllocated: boolean, fua: boolean, done: IoDone): void {
    const end = this.begin(done);
    this.takeLater(positionBytes, lengthBytes, null, (status) => {
      if (status === STATUS.OK && fua) this.gate.flush(end);
      else end(status);
    });
  }

  extents(_positionBytes: number, lengthBytes: number, done: ExtentsDone): void {
    const end = this.begin((status) => done(status, [lengthBytes / SECTOR_BYTES, EXTENT.DATA]));
    setImmediate(end, STATUS.OK);
  }

  async close(): Promise<void> {
    if (this.inFlight.count > 0) await this.inFlight.whenIdle();
    await this.inner.close();
    this.released();
  }

  private begin(done: IoDone): IoDone {
    this.inFlight.begin();
    return (status) => {
      done(status);
      this.inFlight.end();
    };
  }

  private takeLater(positionBytes: number, lengthBytes: number, data: Buffer | null, end: IoDone): void {
    const take = (status: Status): void => end(status === STATUS.OK ? this.take(positionBytes, lengthBytes, data) : status);
    if (this.store.isFull) this.gate.flush(take);
    else setImmediate(take, STATUS.OK);
  }

  private take(positionBytes: number, lengthBytes: number, data: Buffer | null): Status {
    const errno = this.store.add(positionBytes, lengthBytes, data);
    return errno === null ? STATUS.OK : this.failed('write', errno);
  }

  private sync(end: IoEnd): void {
    const { upTo } = this.store;
    this.store.takeTurn((over) => {
      // Collect the pieces only when the flush gets its turn, because an earlier FUA write may have removed some of them.
      bring(this.inner, this.store.until(upTo), 0, (status) => {
        const errno = status === STATUS.OK ? this.store.forget(upTo) : statusEntry(status).errno;
        if (status === STATUS.OK && errno !== null) this.onError('flush', errno);
        over();
        end(errno);
      });
    });
  }

  private failed(operation: 'write', errno: string): Status {
    this.onError(operation, errno);
    return statusOfErrno(errno);
  }
}

function bring(inner: Backend, pieces: readonly UnsyncedPiece[], index: number, done: IoDone): void {
  const piece = pieces[index];
  if (piece === undefined) {
    inner.flush(done);
    return;
  }
  const { positionBytes, lengthBytes, data } = piece;
  const next: IoDone = (status) => (status === STATUS.OK ? bring(inner, pieces, index + 1, done) : done(status));
  if (data === null) inner.zero(positionBytes, lengthBytes, true, false, next);
  else inner.write(data, 0, lengthBytes, positionBytes, false, next);
}
