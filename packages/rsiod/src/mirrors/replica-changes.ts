// Finds the changes of replicas between two views of a mirror, for events. Pure. The driver adds the events; the daemon's views use the
// same words for the states.

import type { MirrorView, ReplicaView } from '@rsio/protocol/mirror/membership/interface';

export interface ReplicaChange {
  readonly replica: ReplicaView;
  readonly from: string;
  readonly to: string;
  readonly sentence: string;
}

type State = 'in sync' | 'behind' | 'copying';

const SENTENCES: Readonly<Record<State, string>> = {
  'in sync': 'The replica has all data',
  behind: 'The mirror goes on without the replica, which misses what is written from now on',
  copying: 'The replica is back and is copied',
};

/** Returns the state of a replica as shown in events and views. */
export function stateOf({ role, session }: ReplicaView): State {
  if (role === 'member' || role === 'leaving') return 'in sync';
  return session === 'open' ? 'copying' : 'behind';
}

/**
 * Returns the changes from `before` to `after`. Returns no changes if `before` is null, and no change for a replica that was added or
 * removed.
 */
export function changesOf(before: MirrorView | null, after: MirrorView): ReplicaChange[] {
  if (before === null || !before.isServing || !after.isServing) return [];
  return after.replicas.flatMap((replica) => {
    const old = before.replicas.find(({ identity }) => identity === replica.identity);
    if (old === undefined || stateOf(old) === stateOf(replica)) return [];
    const to = stateOf(replica);
    return [{ replica, from: stateOf(old), to, sentence: SENTENCES[to] }];
  });
}

/**
 * Returns the names of the voters that the client's configuration file no longer contains. `before` and `now` map the serverids of the
 * configured servers to their names.
 */
export function votersGone(view: MirrorView | null, before: ReadonlyMap<number, string>, now: ReadonlyMap<number, string>): string[] {
  const voters = new Set((view?.voterSets ?? []).flat().map(({ serverid }) => serverid));
  return [...voters].flatMap((serverid) => (now.has(serverid) ? [] : (before.get(serverid) ?? [])));
}
