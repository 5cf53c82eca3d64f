// The latest events of a daemon. An event says which object changed from which state to which, and why. When the list is full, a new event
// replaces the oldest one. A file keeps the events across restarts (event-file.ts). Invariants: event numbers ascend, even across restarts,
// and no number is used twice. A request that waits for an event is answered within its time limit. An object that flaps pushes no event of
// another object out: its like events are counted in the last one (event-repeats.ts), and it has a part of the list at most.

import { EVENTS_KEPT } from '../control/limits.ts';
import type { EventsParams, EventsResult, EventView } from '../control/method-table.ts';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { replacedBy } from './event-repeats.ts';
import { EVENT_NAME_MAX_CHARS, EVENT_REASON_MAX_CHARS, EVENT_WAITERS_MAX, EVENTS_OF_ONE_MAX } from './limits.ts';

/** Storage that keeps events across restarts. */
export interface EventStore {
  /**
   * Returns the stored events (oldest first), the number of the next event, and the time at which the numbering began. `kept`: returns the
   * events that are in the list at any later time.
   */
  load(kept: () => readonly EventView[]): { readonly events: readonly EventView[]; readonly next: number; readonly beganMs: number };
  add(event: EventView): void;
}

export interface Change {
  /** The object that has changed, such as `volume oracle@0`. */
  readonly object: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
  /** The order that has caused the change, if the code knows it. */
  readonly order?: EventView['order'];
}

export class EventHistory {
  private readonly clock: Clock;
  private kept: readonly EventView[] = [];
  private readonly capacity: number;
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
    this.capacity = capacity;
    const { events, next, beganMs } = store?.load(() => this.kept) ?? { events: [], next: 1, beganMs: clock.wallMs() };
    for (const event of events) this.keep(event);
    const [oldest] = events;
    this.dropped = Math.max(this.dropped, (oldest?.number ?? next) - 1);
    this.last = next - 1;
    this.beganMs = beganMs;
  }

  add({ object, from, to, reason, order }: Change): void {
    const name = (text: string): string => cut(text, EVENT_NAME_MAX_CHARS);
    const happened = {
      atMs: this.clock.wallMs(),
      object: name(object),
      from: name(from),
      to: name(to),
      reason: cut(reason, EVENT_REASON_MAX_CHARS),
      ...(order === undefined
        ? {}
        : { order: { who: name(order.who), method: order.method, id: order.id === null ? null : name(order.id) } }),
    };
    const replaced = replacedBy(this.kept, happened);
    const repeated = replaced === undefined ? {} : { repeated: (replaced.repeated ?? 0) + 1 };
    const event = { number: ++this.last, ...happened, ...repeated };
    if (replaced !== undefined) this.kept = this.kept.filter((one) => one !== replaced);
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
    if (after === null) return this.result(this.kept.slice(-count), 0);
    const newer = this.kept.filter(({ number }) => number > after);
    // Numbers that were skipped after an unclean end do not count as missed events.
    return this.result(newer.slice(0, count), Math.max(0, this.dropped - after));
  }

  private keep(event: EventView): void {
    if (this.kept.length >= this.capacity) {
      const [oldest] = this.kept;
      const own = this.kept.filter(({ object }) => object === event.object);
      const leaving = own.length >= EVENTS_OF_ONE_MAX ? own[0] : oldest;
      // `missed` counts the oldest events only. One of the middle is not told: its object has changed many times since (docs/HTTP.md).
      if (leaving === oldest) this.dropped = oldest?.number ?? this.dropped;
      this.kept = this.kept.filter((one) => one !== leaving);
    }
    this.kept = [...this.kept, event];
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
