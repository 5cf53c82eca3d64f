// The snapshots of a mirror, from what the servers of its replicas list. Pure. Invariant: a snapshot counts only where it is proven, and only
// as one of this mirror. Of several snapshots with one name, the latest counts (M22).

import type { SnapshotView } from '../../views/views.ts';

/** What the server at a place lists for its replica. */
export interface ReplicaSnapshots<P> {
  readonly place: P;
  readonly snapshots: readonly SnapshotView[];
}

export interface ProvenSnapshot<P> {
  /** As the first of the places lists it. */
  readonly view: SnapshotView;
  readonly places: readonly P[];
}

interface Order {
  readonly term: number;
  readonly number: number;
}

/** Returns the proven snapshots, oldest first. `mirror`: id of the mirror. */
export function provenAmong<P>(mirror: string, replicas: readonly ReplicaSnapshots<P>[]): readonly ProvenSnapshot<P>[] {
  const found = new Map<string, { view: SnapshotView; order: Order; places: P[] }>();
  for (const { place, snapshots } of replicas)
    for (const view of snapshots) {
      const { moment } = view;
      if (moment?.isProven !== true || moment.mirror !== mirror) continue;
      const known = found.get(view.snapshot);
      const order = known === undefined ? 1 : compare(moment, known.order);
      if (order > 0) found.set(view.snapshot, { view, order: moment, places: [place] });
      else if (order === 0) known?.places.push(place);
    }
  return [...found.values()].toSorted((a, b) => compare(a.order, b.order));
}

function compare(one: Order, other: Order): number {
  return one.term === other.term ? one.number - other.number : one.term - other.term;
}
