// Counts the events of the server by kind, and also take-overs and new incarnations. The code in events/ makes the events. Invariant:
// counts never decrease while rssrv runs.

import { KindCounts } from '@rsio/common/metrics/kind-counts';
import type { Change } from '@rsio/common/events/event-history';

const KINDS = ['client', 'volume', 'pool', 'mirror', 'address', 'configuration'] as const;
/** Events about a held volume have a state that begins with this text. The code in volumes/holds/ makes the events about holds. */
const HELD = 'held by ';
const NEW_INCARNATION = 'new incarnation';

export class EventCounts {
  /** Number of take-overs of volumes. */
  takeOvers = 0;
  /** Number of times that the storage of a volume has begun a new incarnation. */
  incarnations = 0;
  private readonly kinds = new KindCounts(KINDS);

  note({ object, from, to }: Pick<Change, 'object' | 'from' | 'to'>): void {
    this.kinds.note(object);
    if (from.startsWith(HELD) && to.startsWith(HELD)) this.takeOvers++;
    if (to === NEW_INCARNATION) this.incarnations++;
  }

  get byKind(): ReadonlyMap<string, number> {
    return this.kinds.byKind;
  }
}
