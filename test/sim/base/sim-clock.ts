// Simulated time: a heap of due calls, and one clock per simulated process. A process can be stopped (its timers and bytes wait, then all
// arrive at once) or killed, and its wall clock can be set. Calls requested for "soon" run before anything else. Invariant: the result
// depends only on the calls and their order, so the same calls give the same run.

import type { Clock, Timer } from '@rsio/base/lib/clock';

/** 2010-09-14, the first day of every simulated world. */
const START_WALL_MS = 1_284_476_552_000;

class Entry implements Timer {
  dueMs: number;
  order: number;
  readonly process: SimProcess | null;
  fire: (() => void) | null;

  constructor(dueMs: number, order: number, process: SimProcess | null, fire: (() => void) | null) {
    this.dueMs = dueMs;
    this.order = order;
    this.process = process;
    this.fire = fire;
  }

  cancel(): void {
    if (this.fire === null) return;
    this.fire = null;
    if (this.process !== null) this.process.timersPending--;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}

export class SimClock implements Clock {
  events = 0;
  private nowMs = 0;
  private order = 0;
  private readonly heap: Entry[] = [];
  private readonly soonOnes: (() => void)[] = [];
  private readonly soonOwners: (SimProcess | null)[] = [];
  private soonHead = 0;

  monotonicMs(): number {
    return this.nowMs;
  }

  wallMs(): number {
    return START_WALL_MS + this.nowMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    return this.afterIn(null, delayMs, fire);
  }

  soon(fire: () => void): void {
    this.soonIn(null, fire);
  }

  /** Like `after`, but repeated: `fire` returns the ms until its next call, or null to end. One entry serves all calls. */
  repeat(firstMs: number, fire: () => number | null): void {
    const entry = new Entry(this.nowMs + firstMs, this.order++, null, null);
    const fireAndPush = (): void => {
      const nextMs = fire();
      if (nextMs === null) return;
      entry.dueMs = this.nowMs + nextMs;
      entry.order = this.order++;
      entry.fire = fireAndPush;
      this.push(entry);
    };
    entry.fire = fireAndPush;
    this.push(entry);
  }

  afterIn(process: SimProcess | null, delayMs: number, fire: () => void): Timer {
    const entry = new Entry(this.nowMs + Math.max(0, delayMs), this.order++, process, fire);
    this.push(entry);
    return entry;
  }

  soonIn(process: SimProcess | null, fire: () => void): void {
    this.soonOnes.push(fire);
    this.soonOwners.push(process);
  }

  /** Runs the calls requested for "soon", and the further "soon" calls that these calls request. */
  drainSoon(): void {
    while (this.soonHead < this.soonOnes.length) {
      const owner = this.soonOwners[this.soonHead]!;
      const fire = this.soonOnes[this.soonHead++]!;
      if (owner === null || !owner.isKilled) fire();
    }
    this.soonOnes.length = 0;
    this.soonOwners.length = 0;
    this.soonHead = 0;
  }

  /** Runs the next event and the calls that it requests for soon. Returns false if no event is left. */
  step(): boolean {
    if (this.soonOnes.length > 0) this.drainSoon();
    for (;;) {
      const entry = this.pop();
      if (entry === undefined) return false;
      const { fire, process } = entry;
      if (fire === null) continue;
      if (process !== null) {
        if (process.isKilled) continue;
        if (process.isPaused) {
          process.late.push(entry);
          continue;
        }
        process.timersPending--;
      }
      entry.fire = null;
      this.nowMs = Math.max(this.nowMs, entry.dueMs);
      this.events++;
      fire();
      if (this.soonOnes.length > 0) this.drainSoon();
      return true;
    }
  }

  /** Makes these events due now: they fell due while their process was stopped. They run before all events that are due later. */
  again(entries: readonly Entry[]): void {
    for (const entry of entries) {
      entry.dueMs = this.nowMs;
      this.push(entry);
    }
  }

  private push(entry: Entry): void {
    const { heap } = this;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent]!;
      if (!isBefore(entry, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  private pop(): Entry | undefined {
    const { heap } = this;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}

/** The open resources of a process, which the kernel closes when the process ends. */
export interface ProcessEnd {
  processResumed(): void;
  processKilled(): void;
}

/** The clock of one simulated process. The clock also kills the process. */
export class SimProcess implements Clock {
  isKilled = false;
  isPaused = false;
  timersPending = 0;
  wallJumpMs = 0;
  readonly late: Entry[] = [];
  readonly ends = new Set<ProcessEnd>();
  /** Called once when the process is killed. The memory of the process is then lost. */
  whenKilled: (() => void) | null = null;
  private readonly clock: SimClock;

  constructor(clock: SimClock) {
    this.clock = clock;
  }

  monotonicMs(): number {
    return this.clock.monotonicMs();
  }

  wallMs(): number {
    return this.clock.wallMs() + this.wallJumpMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    if (this.isKilled) return { cancel: () => undefined };
    this.timersPending++;
    return this.clock.afterIn(this, delayMs, fire);
  }

  soon(fire: () => void): void {
    this.clock.soonIn(this, fire);
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    if (!this.isPaused || this.isKilled) return;
    this.isPaused = false;
    this.clock.again(this.late.splice(0));
    for (const end of this.ends) end.processResumed();
  }

  /** Like SIGKILL: the process runs no more code, and the simulated kernel closes the resources of the process. */
  kill(): void {
    if (this.isKilled) return;
    this.isKilled = true;
    this.isPaused = false;
    this.late.length = 0;
    for (const end of [...this.ends]) end.processKilled();
    this.ends.clear();
    this.whenKilled?.();
  }
}
