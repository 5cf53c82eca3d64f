// A backend wrapper that uses no more than its volume's share of the worker's threads (thread-shares.ts). Operations beyond the share wait
// in this wrapper, so that a volume whose storage hangs leaves threads to other volumes. The queue is bounded by the number of slots in the
// sessions that use the backend. Invariant: the queue is empty at `close`, because the caller first waits for all answers.

import type { Backend, ExtentsDone, IoDone } from './io/backend.ts';
import { ForwardingBackend } from './io/forwarding-backend.ts';
import type { ThreadLane, ThreadShares } from './io/thread-shares.ts';

/** Flushes bypass the share. Only one sync runs at a time (flush-gate.ts), and waiting flushes would occupy threads that reads need. */
export class ThreadShareBackend extends ForwardingBackend {
  private readonly lane: ThreadLane;
  private readonly left: () => void;
  private isLeft = false;

  constructor(inner: Backend, shares: ThreadShares, volumeId: string) {
    super(inner);
    this.lane = shares.enter(volumeId);
    this.left = () => shares.leave(volumeId);
  }

  override read(target: Buffer, offset: number, lengthBytes: number, positionBytes: number, done: IoDone): void {
    this.run(done, (end) => this.inner.read(target, offset, lengthBytes, positionBytes, end));
  }

  override write(source: Buffer, offset: number, lengthBytes: number, positionBytes: number, fua: boolean, done: IoDone): void {
    this.run(done, (end) => this.inner.write(source, offset, lengthBytes, positionBytes, fua, end));
  }

  override discard(positionBytes: number, lengthBytes: number, done: IoDone): void {
    this.run(done, (end) => this.inner.discard(positionBytes, lengthBytes, end));
  }

  override zero(positionBytes: number, lengthBytes: number, keepAllocated: boolean, fua: boolean, done: IoDone): void {
    this.run(done, (end) => this.inner.zero(positionBytes, lengthBytes, keepAllocated, fua, end));
  }

  override extents(positionBytes: number, lengthBytes: number, done: ExtentsDone): void {
    this.lane.run((ended) =>
      this.inner.extents(positionBytes, lengthBytes, (status, pairs) => {
        done(status, pairs);
        ended();
      }),
    );
  }

  override async close(): Promise<void> {
    await this.inner.close();
    if (!this.isLeft) this.left();
    this.isLeft = true;
  }

  private run(done: IoDone, start: (end: IoDone) => void): void {
    this.lane.run((ended) =>
      start((status) => {
        // Answer before returning the thread, so that an operation started by the answer is already in the queue.
        done(status);
        ended();
      }),
    );
  }
}
