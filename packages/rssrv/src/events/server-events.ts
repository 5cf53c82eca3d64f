// The latest events of the server, in memory: what changed from which state to which, and why. The list is bounded: when it is full, a new
// event replaces the oldest one. A restart of rssrv begins an empty list; the log has every event too (event-log.ts). Invariants: numbers of
// events are consecutive from 1; a request that waits for an event is answered at the latest after its time.

import { EVENTS_KEPT } from '@rsio/common/control/limits';
import type { ServerMethods } from '@rsio/common/control/server/server-methods';
import type { ServerEventView } from '@rsio/common/control/server/views';
import type { Clock, Timer } from '@rsio/common/lib/clock';
import { RsError } from '@rsio/common/lib/errors';
import { FixedQueue } from '@rsio/common/structures/fixed-queue';
import { EVENT_REASON_MAX_CHARS, EVENT_WAITERS_MAX } from './limits.ts';

type Params = ServerMethods['events']['params'];
type Result = ServerMethods['events']['result'];

export interface Change {
  /** What has changed, such as `volume oracle@0`. */
  readonly object: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
}

export class ServerEvents {
  private readonly clock: Clock;
  private readonly kept: FixedQueue<ServerEventView>;
  private readonly beganMs: number;
  private readonly waiters = new Set<() => void>();
  private last = 0;
  /** Called with each event. */
  heard: ((event: ServerEventView) => void) | null = null;

  constructor(clock: Clock, capacity = EVENTS_KEPT) {
    this.clock = clock;
    this.kept = new FixedQueue(capacity);
    this.beganMs = clock.wallMs();
  }

  add({ object, from, to, reason }: Change): void {
    if (this.kept.isFull) this.kept.shift();
    const text = reason.length > EVENT_REASON_MAX_CHARS ? `${reason.slice(0, EVENT_REASON_MAX_CHARS)}...` : reason;
    const event = { number: ++this.last, atMs: this.clock.wallMs(), object, from, to, reason: text };
    this.kept.push(event);
    this.heard?.(event);
    for (const wake of this.waiters) wake();
  }

  /**
   * Returns the last events, or those after a number, oldest first. If there is none after that number, waits for one, at most `waitMs`.
   * Throws E_LIMIT if too many requests wait.
   */
  async read({ count, after, waitMs }: Params): Promise<Result> {
    if (after !== null && after >= this.last && waitMs > 0) await this.next(waitMs);
    const all = this.kept.toArray();
    if (after === null) return this.result(all.slice(-count), 0);
    const newer = all.filter(({ number }) => number > after);
    const missed = Math.max(0, (newer[0]?.number ?? this.last + 1) - after - 1);
    return this.result(newer.slice(0, count), after > this.last ? 0 : missed);
  }

  private result(events: readonly ServerEventView[], missed: number): Result {
    return { events, missed, last: events.at(-1)?.number ?? this.last, beganMs: this.beganMs };
  }

  private next(waitMs: number): Promise<void> {
    if (this.waiters.size >= EVENT_WAITERS_MAX)
      throw new RsError('E_LIMIT', `${EVENT_WAITERS_MAX} programs already wait for events: close one`);
    return new Promise((resolve) => {
      let timer: Timer | null = null;
      const wake = (): void => {
        this.waiters.delete(wake);
        timer?.cancel();
        resolve();
      };
      this.waiters.add(wake);
      timer = this.clock.after(waitMs, wake);
    });
  }
}
