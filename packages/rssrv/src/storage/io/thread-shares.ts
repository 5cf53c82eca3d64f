// Divides the worker's storage threads among its volumes, because a hanging call keeps its thread occupied. A volume gets another thread
// only if more threads are free than the volume already uses. One hanging volume thus occupies at most 8 of 16 threads, and four hanging
// volumes occupy at most 15. A fifth hanging volume can take the last thread; the calls of all volumes then wait until a call ends. Calls
// that bypass the shares, such as syncs, have additional threads (server/limits.ts). Invariants: each call is started exactly once and
// returns its thread when it ends. The calls of one volume are started in their order of arrival.

import { assert, counted } from '@rsio/base/lib/assert';
import { GrowingQueue } from '@rsio/base/lib/growing-queue';

/** A function that starts a call in the thread pool, and calls `ended` once, as soon as the call's thread is free again. */
export type ThreadCall = (ended: () => void) => void;

export class ThreadShares {
  private free: number;
  private readonly threads: number;
  private readonly lanes = new Map<string, ThreadLane>();
  /**
   * Lanes with waiting calls; a free thread is offered to the first lane in this set. A lane is the queue of one volume's waiting calls.
   */
  private readonly waiting = new Set<ThreadLane>();

  constructor(threads: number) {
    this.free = threads;
    this.threads = threads;
  }

  /**
   * Returns the volume's lane. A volume's lane is shared by all sessions that have the volume open. The caller must call `leave` when the
   * backend is closed.
   */
  enter(volumeId: string): ThreadLane {
    const lane = this.lanes.get(volumeId) ?? new ThreadLane(this);
    this.lanes.set(volumeId, lane);
    lane.users++;
    return lane;
  }

  leave(volumeId: string): void {
    const lane = this.lanes.get(volumeId);
    if (lane !== undefined && --lane.users === 0) this.lanes.delete(volumeId);
  }

  /** Returns the number of calls of a volume that are running or are waiting for a thread; 0 if the volume has no lane. */
  callsOf(volumeId: string): number {
    return this.lanes.get(volumeId)?.calls ?? 0;
  }

  /** Returns true if a lane that already uses `held` threads may take another thread. */
  mayTake(held: number): boolean {
    return held < this.free;
  }

  taken(): void {
    this.free = counted(this.free - 1, 'free threads');
  }

  enqueue(lane: ThreadLane): void {
    this.waiting.add(lane);
  }

  /**
   * Offers free threads to the waiting lanes in turn. A lane that gets a thread moves to the end of the waiting lanes, where the loop
   * reaches it again. The loop ends because each start takes a thread.
   */
  given(): void {
    this.free++;
    assert(this.free <= this.threads, 'A call has returned its thread twice');
    if (this.waiting.size === 0) return;
    for (const lane of this.waiting) {
      if (!lane.startNext()) continue;
      this.waiting.delete(lane);
      if (lane.isWaiting) this.waiting.add(lane);
    }
  }
}

export class ThreadLane {
  users = 0;
  private held = 0;
  private readonly queue = new GrowingQueue<ThreadCall>();
  private readonly shares: ThreadShares;

  constructor(shares: ThreadShares) {
    this.shares = shares;
  }

  /** Starts the call now, or as soon as the volume may take another thread. */
  run(call: ThreadCall): void {
    if (this.queue.length === 0 && this.shares.mayTake(this.held)) {
      this.start(call);
      return;
    }
    this.queue.push(call);
    this.shares.enqueue(this);
  }

  get calls(): number {
    return this.held + this.queue.length;
  }

  get isWaiting(): boolean {
    return this.queue.length > 0;
  }

  /** Starts the oldest waiting call if the volume may take another thread. */
  startNext(): boolean {
    const call = this.shares.mayTake(this.held) ? this.queue.shift() : undefined;
    if (call !== undefined) this.start(call);
    return call !== undefined;
  }

  private start(call: ThreadCall): void {
    this.held++;
    this.shares.taken();
    call(() => {
      this.held = counted(this.held - 1, 'threads of a volume');
      this.shares.given();
    });
  }
}
