// What has changed for the replicas of a mirror between two views, as events for the administrator. Pure. The driver adds the events, and
// the views of the daemon use the same words.

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

/** The state of a replica in one word, for events and views. */
export function stateOf({ role, session }: ReplicaView): State {
  if (role === 'member' || role === 'leaving') return 'in sync';
  return session === 'open' ? 'copying' : 'behind';
}

/** The first view of a mirror tells no changes; a replica that is new or removed is no change either. */
export function changesOf(before: MirrorView | null, after: MirrorView): ReplicaChange[] {
  if (before === null || !before.isServing || !after.isServing) return [];
  return after.replicas.flatMap((replica) => {
    const old = before.replicas.find(({ identity }) => identity === replica.identity);
    if (old === undefined || stateOf(old) === stateOf(replica)) return [];
    const to = stateOf(replica);
    return [{ replica, from: stateOf(old), to, sentence: SENTENCES[to] }];
  });
}

/** Names of the voters that were in the configuration and are not any more. `before`, `now`: names of its servers by serverid. */
export function votersGone(view: MirrorView | null, before: ReadonlyMap<number, string>, now: ReadonlyMap<number, string>): string[] {
  const voters = new Set((view?.voterSets ?? []).flat().map(({ serverid }) => serverid));
  return [...voters].flatMap((serverid) => (now.has(serverid) ? [] : (before.get(serverid) ?? [])));
}
