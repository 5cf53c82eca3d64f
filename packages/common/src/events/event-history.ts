// The latest events of a daemon. An event says which object changed from which state to which, and why. When the list is full, a new event
// replaces the oldest one. A file keeps the events across restarts (event-file.ts). Invariants: event numbers ascend, even across restarts,
// and no number is used twice. A request that waits for an event is answered within its time limit.

import { EVENTS_KEPT } from '../control/limits.ts';
import type { EventsParams, EventsResult, EventView } from '../control/method-table.ts';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { FixedQueue } from '@rsio/base/structures/fixed-queue';
import { EVENT_NAME_MAX_CHARS, EVENT_REASON_MAX_CHARS, EVENT_WAITERS_MAX } from './limits.ts';

/** Storage that keeps events across restarts. */
export interface EventStore {
  /** Returns the stored events (oldest first), the number of the next event, and the time at which the numbering began. */
  load(): { readonly events: readonly EventView[]; readonly next: number; readonly beganMs: number };
  add(event: EventView): void;
}

export interface Change {
  /** The object that has changed, such as `volume oracle@0`. */
  readonly object: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
}

export class EventHistory {
  private readonly clock: Clock;
  private readonly kept: FixedQueue<EventView>;
  private readonly beganMs: number;
  private readonly waiters = new Set<() => void>();
  private readonly store: EventStore | null;
  private last = 0;
  /** Number of the newest event that is no longer in the list. */
  private dropped = 0;
  /** Called with each event. */
  heard: ((event: EventView) => void) | null = null;

  constructor(clock: Clock, store: EventStore | null, capacity = EVENTS_KEPT) {
    this.clock = clock;
    this.store = store;
    this.kept = new FixedQueue(capacity);
    const { events, next, beganMs } = store?.load() ?? { events: [], next: 1, beganMs: clock.wallMs() };
    for (const event of events) this.keep(event);
    const [oldest] = events;
    this.dropped = Math.max(this.dropped, (oldest?.number ?? next) - 1);
    this.last = next - 1;
    this.beganMs = beganMs;
  }

  add({ object, from, to, reason }: Change): void {
    const [what, before, after] = [object, from, to].map((text) => cut(text, EVENT_NAME_MAX_CHARS)) as [string, string, string];
    const event = {
      number: ++this.last,
      atMs: this.clock.wallMs(),
      object: what,
      from: before,
      to: after,
      reason: cut(reason, EVENT_REASON_MAX_CHARS),
    };
    this.keep(event);
    this.store?.add(event);
    this.heard?.(event);
    for (const wake of this.waiters) wake();
  }

  /**
   * Returns the last events, or the events after the number `after`, oldest first. If no event has a number after `after`, first waits for
   * an event, for at most `waitMs`. Throws E_LIMIT if too many requests wait.
   */
  async read({ count, after = null, waitMs = 0 }: EventsParams): Promise<EventsResult> {
    if (after !== null && after >= this.last && waitMs > 0) await this.next(waitMs);
    const all = this.kept.toArray();
    if (after === null) return this.result(all.slice(-count), 0);
    const newer = all.filter(({ number }) => number > after);
    // Numbers that were skipped after an unclean end do not count as missed events.
    return this.result(newer.slice(0, count), Math.max(0, this.dropped - after));
  }

  private keep(event: EventView): void {
    if (this.kept.isFull) this.dropped = this.kept.shift()?.number ?? this.dropped;
    this.kept.push(event);
  }

  private result(events: readonly EventView[], missed: number): EventsResult {
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

function cut(text: string, maxChars: number): string {
  return text.length > maxChars ? `${text.slice(0, maxChars)}...` : text;
}
