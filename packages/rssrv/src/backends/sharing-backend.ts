// A backend that takes no more than its volume's share of the process's threads (thread-shares.ts): what is past it waits here, and other volumes
// find a thread although this one's storage hangs. Leaves everything else to the backend inside. What is queued belongs to the backend's caller's
// slots, which bound it. Invariant: nothing is queued when it is closed, since its caller closes it when all has been answered.

import type { Status } from '@rsio/protocol/wire/status';
import type { Backend, BackendCapabilities, ExtentsDone, IoDone, WOULD_WAIT } from './common/backend.ts';
import type { FileEnd } from './common/file-end.ts';
import type { ThreadLane, ThreadShares } from './common/thread-shares.ts';

export class SharingBackend implements Backend {
  private readonly inner: Backend;
  private readonly lane: ThreadLane;
  private readonly left: () => void;
  private isLeft = false;

  constructor(inner: Backend, shares: ThreadShares, volumeId: string) {
    this.inner = inner;
    this.lane = shares.enter(volumeId);
    this.left = () => shares.leave(volumeId);
  }

  get sizeBytes(): number {
    return this.inner.sizeBytes;
  }

  get capabilities(): BackendCapabilities {
    return this.inner.capabilities;
  }

  get end(): FileEnd | undefined {
    return this.inner.end;
  }

  tryRead(target: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    return this.inner.tryRead(target, offset, lengthBytes, positionBytes);
  }

  tryWrite(source: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    return this.inner.tryWrite(source, offset, lengthBytes, positionBytes);
  }

  read(target: Buffer, offset: number, lengthBytes: number, positionBytes: number, done: IoDone): void {
    this.run(done, (end) => this.inner.read(target, offset, lengthBytes, positionBytes, end));
  }

  write(source: Buffer, offset: number, lengthBytes: number, positionBytes: number, fua: boolean, done: IoDone): void {
    this.run(done, (end) => this.inner.write(source, offset, lengthBytes, positionBytes, fua, end));
  }

  /** One sync runs at a time, whoever asks (flush-gate.ts): those that wait for it must not hold the threads of reads. */
  flush(done: IoDone): void {
    this.inner.flush(done);
  }

  discard(positionBytes: number, lengthBytes: number, done: IoDone): void {
    this.run(done, (end) => this.inner.discard(positionBytes, lengthBytes, end));
  }

  zero(positionBytes: number, lengthBytes: number, keepAllocated: boolean, fua: boolean, done: IoDone): void {
    this.run(done, (end) => this.inner.zero(positionBytes, lengthBytes, keepAllocated, fua, end));
  }

  extents(positionBytes: number, lengthBytes: number, done: ExtentsDone): void {
    this.inner.extents(positionBytes, lengthBytes, done);
  }

  async close(): Promise<void> {
    await this.inner.close();
    if (!this.isLeft) this.left();
    this.isLeft = true;
  }

  private run(done: IoDone, start: (end: IoDone) => void): void {
    this.lane.run((ended) =>
      start((status) => {
        // First the answer: one that asks for more finds its place in the queue.
        done(status);
        ended();
      }),
    );
  }
}
