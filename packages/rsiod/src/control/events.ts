// The last state changes, for `rsconfig events`: bounded, oldest forgotten first.
// Leaves to the daemon what is an event, and to the log what must be kept longer.

import type { EventView } from '@rsio/common/control/methods';
import { EVENTS_KEPT } from '@rsio/common/control/limits';
import { FixedQueue } from '@rsio/common/structures/fixed-queue';

export class EventList {
  private readonly kept = new FixedQueue<EventView>(EVENTS_KEPT);

  add(event: EventView): void {
    if (this.kept.isFull) this.kept.shift();
    this.kept.push(event);
  }

  /** The last `count`, oldest first. */
  last(count: number): EventView[] {
    return this.kept.toArray().slice(-count);
  }
}
