// A backend wrapper that passes every operation on unchanged. A wrapper that changes some operations extends this class. Invariant: this
// class has no state. If a wrapper does not override an operation, the operation therefore behaves like the same operation of the inner
// backend.

import type { Status } from '@rsio/protocol/wire/status';
import type { Backend, BackendCapabilities, ExtentsDone, IntentView, IoDone, WOULD_WAIT } from './backend.ts';
import type { StorageEnd } from './file-end.ts';

export class ForwardingBackend implements Backend {
  protected readonly inner: Backend;

  constructor(inner: Backend) {
    this.inner = inner;
  }

  get sizeBytes(): number {
    return this.inner.sizeBytes;
  }

  get capabilities(): BackendCapabilities {
    return this.inner.capabilities;
  }

  get end(): StorageEnd | undefined {
    return this.inner.end;
  }

  get intents(): IntentView | undefined {
    return this.inner.intents;
  }

  tryRead(target: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    return this.inner.tryRead(target, offset, lengthBytes, positionBytes);
  }

  tryWrite(source: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    return this.inner.tryWrite(source, offset, lengthBytes, positionBytes);
  }

  read(target: Buffer, offset: number, lengthBytes: number, positionBytes: number, done: IoDone): void {
    this.inner.read(target, offset, lengthBytes, positionBytes, done);
  }

  write(source: Buffer, offset: number, lengthBytes: number, positionBytes: number, fua: boolean, done: IoDone): void {
    this.inner.write(source, offset, lengthBytes, positionBytes, fua, done);
  }

  flush(done: IoDone): void {
    this.inner.flush(done);
  }

  discard(positionBytes: number, lengthBytes: number, done: IoDone): void {
    this.inner.discard(positionBytes, lengthBytes, done);
  }

  zero(positionBytes: number, lengthBytes: number, keepAllocated: boolean, fua: boolean, done: IoDone): void {
    this.inner.zero(positionBytes, lengthBytes, keepAllocated, fua, done);
  }

  extents(positionBytes: number, lengthBytes: number, done: ExtentsDone): void {
    this.inner.extents(positionBytes, lengthBytes, done);
  }

  async close(): Promise<void> {
    await this.inner.close();
  }
}
