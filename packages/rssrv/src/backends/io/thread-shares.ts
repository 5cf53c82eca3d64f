// Shares the worker's storage threads among volumes, because a call that hangs occupies its thread. A volume gets another thread only while
// more threads are free than it already has, so that a thread is always left for the next volume, however many volumes hang. Pure: counts
// calls and starts them. Invariant: each call is started exactly once; a volume's calls start in the order of their arrival; a call's
// thread is returned when the call ends.

/** Starts a call. `ended` is called once, when the call's thread is free again. */
export type ThreadCall = (ended: () => void) => void;

export class ThreadShares {
  private free: number;
  private readonly lanes = new Map<string, ThreadLane>();
  /** Lanes with waiting calls, in the order in which they are served. */
  private readonly waiting = new Set<ThreadLane>();

  constructor(threads: number) {
    this.free = threads;
  }

  /** Returns the volume's lane, which all sessions that have the volume open share. Call `leave` when the backend is closed. */
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

  /** Returns true if a lane with this number of threads may have another one. */
  mayTake(held: number): boolean {
    return held < this.free;
  }

  taken(): void {
    this.free--;
  }

  enqueue(lane: ThreadLane): void {
    this.waiting.add(lane);
  }

  /** A thread has become free: offers it to the waiting lanes in turn. A lane that gets a thread moves to the end of the queue. */
  given(): void {
    this.free++;
    if (this.waiting.size === 0) return;
    for (const lane of [...this.waiting]) {
      if (!lane.startNext()) continue;
      this.waiting.delete(lane);
      if (lane.isWaiting) this.waiting.add(lane);
    }
  }
}

export class ThreadLane {
  users = 0;
  private held = 0;
  private readonly queue: ThreadCall[] = [];
  private readonly shares: ThreadShares;

  constructor(shares: ThreadShares) {
    this.shares = shares;
  }

  /** Starts the call now, or as soon as the volume may have another thread. */
  run(call: ThreadCall): void {
    if (this.queue.length === 0 && this.shares.mayTake(this.held)) {
      this.start(call);
      return;
    }
    this.queue.push(call);
    this.shares.enqueue(this);
  }

  get isWaiting(): boolean {
    return this.queue.length > 0;
  }

  /** Starts the oldest waiting call, if the volume may have a thread. */
  startNext(): boolean {
    const call = this.shares.mayTake(this.held) ? this.queue.shift() : undefined;
    if (call !== undefined) this.start(call);
    return call !== undefined;
  }

  private start(call: ThreadCall): void {
    this.held++;
    this.shares.taken();
    call(() => {
      this.held--;
      this.shares.given();
    });
  }
}
