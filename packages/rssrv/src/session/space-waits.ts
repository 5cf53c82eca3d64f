// Makes changes wait while the pool of their volume is full, so that a program sees a slow device instead of an error (rule P3). A change that
// the storage refused for lack of space is executed again, every SPACE_RETRY_MS and in order of arrival, until there is space. Invariants: a
// change ends exactly once; a change waits only while its handle is open, so that a full pool never delays a detach, a take-over or the end
// of a session; when its handle is closed, a waiting change ends with STALE, and the client sends it again.

import type { Clock, Timer } from '@rsio/common/lib/clock';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { SPACE_RETRY_MS } from './limits.ts';
import type { OpenVolume } from './request.ts';

export interface SpaceWaitEvents {
  /** Called when the first change of a volume begins to wait, and when the last one has ended. */
  waitsForSpace(volumeId: string, isWaiting: boolean): void;
}

/** Starts the change. The callback gets its status, once. */
type Start = (end: (status: Status) => void) => void;

interface Waiting {
  readonly open: OpenVolume;
  readonly start: Start;
  readonly done: (status: Status) => void;
  /** True while the change is being executed again. */
  isTrying: boolean;
}

export class SpaceWaits {
  private readonly clock: Clock;
  private readonly events: SpaceWaitEvents;
  /** Volume id -> its waiting changes, in order of arrival. A volume without any has no entry. */
  private readonly waiting = new Map<string, Waiting[]>();
  private timer: Timer | null = null;

  constructor(clock: Clock, events: SpaceWaitEvents) {
    this.clock = clock;
    this.events = events;
  }

  /** Executes a change. `done` gets its status, never NO_SPACE if the volume belongs to a pool. */
  execute(open: OpenVolume, start: Start, done: (status: Status) => void): void {
    if (open.volume.pool === undefined) {
      start(done);
      return;
    }
    start((status) => {
      if (status === STATUS.NO_SPACE) this.wait({ open, start, done, isTrying: false });
      else done(status);
    });
  }

  /** Called when a handle is being closed: its waiting changes end with STALE. One that is being tried ends when the attempt has ended. */
  release(open: OpenVolume): void {
    for (const one of [...(this.waiting.get(open.volume.id) ?? [])]) if (one.open === open && !one.isTrying) this.end(one, STATUS.STALE);
  }

  private wait(one: Waiting): void {
    if (one.open.isClosing) {
      one.done(STATUS.STALE);
      return;
    }
    const { id } = one.open.volume;
    const others = this.waiting.get(id);
    if (others !== undefined) {
      others.push(one);
      return;
    }
    this.waiting.set(id, [one]);
    this.events.waitsForSpace(id, true);
    this.timer ??= this.clock.after(SPACE_RETRY_MS, () => this.retry());
  }

  private retry(): void {
    this.timer = null;
    for (const [first] of [...this.waiting.values()]) if (first !== undefined && !first.isTrying) this.tryAgain(first);
    if (this.waiting.size > 0) this.timer = this.clock.after(SPACE_RETRY_MS, () => this.retry());
  }

  /** Executes the first change of a volume again. If there is space, the next one follows at once. */
  private tryAgain(one: Waiting): void {
    one.isTrying = true;
    one.start((status) => {
      one.isTrying = false;
      if (status === STATUS.NO_SPACE && !one.open.isClosing) return;
      const { id } = one.open.volume;
      this.end(one, status === STATUS.NO_SPACE ? STATUS.STALE : status);
      const next = this.waiting.get(id)?.[0];
      if (next !== undefined && status !== STATUS.NO_SPACE) this.tryAgain(next);
    });
  }

  private end(one: Waiting, status: Status): void {
    const { id } = one.open.volume;
    const rest = (this.waiting.get(id) ?? []).filter((other) => other !== one);
    if (rest.length > 0) {
      this.waiting.set(id, rest);
    } else {
      this.waiting.delete(id);
      this.events.waitsForSpace(id, false);
    }
    if (this.waiting.size === 0) {
      this.timer?.cancel();
      this.timer = null;
    }
    one.done(status);
  }
}
