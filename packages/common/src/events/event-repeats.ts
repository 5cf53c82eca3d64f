// Decides which kept event a new event replaces, because an object flaps: it goes on changing between the same states. Pure. Invariants: an
// event is replaced only by a later one of the same object and the same states, by orders of the same asker if any, which counts it; a few like events stay as they are, so that
// a restart, or several orders in a minute, is still told in order.

import type { EventView } from '../control/method-table.ts';
import { EVENT_REPEAT_MS, EVENTS_ALIKE_MAX } from './limits.ts';

type Happened = Pick<EventView, 'atMs' | 'object' | 'from' | 'to' | 'order'>;

/** Returns the event of `kept` (oldest first) that `event` repeats and replaces; undefined if there is none. */
export function replacedBy(kept: readonly EventView[], event: Happened): EventView | undefined {
  // A clock may have been set back.
  const alike = kept.filter((one) => isOfKind(one, event) && Math.abs(event.atMs - one.atMs) <= EVENT_REPEAT_MS);
  const newest = alike.at(-1);
  return (newest?.repeated ?? 0) > 0 || alike.length >= EVENTS_ALIKE_MAX ? newest : undefined;
}

/** Returns the event of `kept` that a stored event has replaced. */
export function storedBefore(kept: readonly EventView[], event: EventView): EventView | undefined {
  const { repeated = 0 } = event;
  return repeated === 0 ? undefined : kept.findLast((one) => isOfKind(one, event) && (one.repeated ?? 0) === repeated - 1);
}

function isOfKind(one: Happened, other: Happened): boolean {
  return one.object === other.object && one.from === other.from && one.to === other.to && one.order?.who === other.order?.who;
}
