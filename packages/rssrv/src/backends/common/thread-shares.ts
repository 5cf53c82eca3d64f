// How many of the process's threads for storage one volume may occupy: a call that hangs keeps its thread, and all volumes have them together.
// A volume takes another one only while it has fewer than are left, so that however many hang, there is one for the next. Pure; counts calls and
// starts them. Invariant: what is given is started exactly once, in the order of its volume, and a share is given back when it has ended.

/** Starts a call; `ended` is called once, when its thread is free again. */
export type ThreadCall = (ended: () => void) => void;

export class ThreadShares {
  private free: number;
  private readonly lanes = new Map<string, ThreadLane>();
  /** Lanes with calls that wait, in the order in which they are looked at. */
  private readonly waiting = new Set<ThreadLane>();

  constructor(threads: number) {
    this.free = threads;
  }

  /** One for each volume, whichever sessions have it open; `leave` it when the backend is closed. */
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

  /** Whether a lane that holds so many may have one more. */
  mayTake(held: number): boolean {
    return held < this.free;
  }

  taken(): void {
    this.free--;
  }

  enqueue(lane: ThreadLane): void {
    this.waiting.add(lane);
  }

  /** A thread is free. Lanes that wait take turns: one that got a thread goes behind those that did not. */
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

  /** Starts the call now, or when the volume may have another thread. */
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

  /** Starts the oldest that waits, if it may. */
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
