// Decides which kept event a new event replaces, because an object flaps: it goes on changing between the same states. Pure. Invariants: an
// event is replaced only by a later one of the same object and the same states, which counts it; events that orders have caused are not
// counted together as long as there are few.

import type { EventView } from '../control/method-table.ts';
import { EVENT_REPEAT_MS, EVENTS_ALIKE_MAX } from './limits.ts';

type Happened = Omit<EventView, 'number' | 'repeated'>;

/** Returns the event of `kept` (oldest first) that `event` repeats and replaces; undefined if there is none. */
export function replacedBy(kept: readonly EventView[], event: Happened): EventView | undefined {
  // A clock may have been set back.
  const alike = kept.filter((one) => isOfKind(one, event) && Math.abs(event.atMs - one.atMs) <= EVENT_REPEAT_MS);
  const same =
    event.order === undefined ? alike.findLast(({ reason, order }) => reason === event.reason && order === undefined) : undefined;
  return same ?? (alike.length >= EVENTS_ALIKE_MAX ? alike.at(-1) : undefined);
}

/** Returns the event of `kept` that a stored event has replaced. */
export function storedBefore(kept: readonly EventView[], event: EventView): EventView | undefined {
  const { repeated = 0 } = event;
  if (repeated === 0) return undefined;
  const counted = kept.filter((one) => isOfKind(one, event) && (one.repeated ?? 0) === repeated - 1);
  return counted.findLast(({ reason }) => reason === event.reason) ?? counted.at(-1);
}

function isOfKind(one: Happened, other: Happened): boolean {
  return one.object === other.object && one.from === other.from && one.to === other.to;
}
