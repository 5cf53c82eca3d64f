// Finds the replicas among the served volumes, for the voters and their clients. Pure. Invariant: if two volumes carry the mark of the
// same mirror, for example because a pool was copied, neither volume is used. Rules: Q3, Q8.

import type { RssrvConfig } from '@rsio/common/config/schema/types';
import type { Log } from '@rsio/base/log/log';
import { isFor, type ServedVolume, takeOverRemedy } from '../storage/io/served-volume.ts';
import { mayFound } from '../pools/asker.ts';
import { type VoterReplicas, Voters } from './voters.ts';

export type OwnReplica = ServedVolume & { readonly replica: NonNullable<ServedVolume['replica']> };

/**
 * Returns the replica that the client can use. Returns the reason if the server has replicas of the mirror, but the client can use none of
 * them. Returns null if the server has no replica of the mirror.
 */
export function replicaFor(served: readonly ServedVolume[], mirror: string, node: string): OwnReplica | string | null {
  const replicas = replicasOf(served, mirror);
  const [own] = replicas;
  if (own === undefined) return null;
  if (replicas.length > 1)
    return `Volumes ${replicas.map(({ name }) => name).join(' and ')} of this server have the mark of the same replica: remove one of them`;
  return isFor(own, node) ? own : `The replica of this server, volume ${own.name}, is not offered to client ${node}`;
}

/** Makes the voters of a server. The voters look up rights and volumes at each VOTE. */
export function systemVoters(ports: {
  readonly folder: string;
  readonly log: Log;
  readonly config: () => RssrvConfig;
  readonly served: () => readonly ServedVolume[];
}): Voters {
  const { folder, log, config, served } = ports;
  return new Voters({ folder, log, replicas: voterReplicas(served), mayFound: (node) => mayFound(node, config()) });
}

export function voterReplicas(served: () => readonly ServedVolume[]): VoterReplicas {
  return {
    has: (mirror) => replicasOf(served(), mirror).length > 0,
    isHidden: (mirror, node) => replicasOf(served(), mirror).some((replica) => !isFor(replica, node)),
    whyNoTakeOver: (mirror, node, holder) => {
      const barred = replicasOf(served(), mirror).find(({ takeOver }) => takeOver !== null && !takeOver.includes(node));
      return barred === undefined ? null : `to let client ${node} take it over, ${takeOverRemedy(barred, holder, node)} on this server`;
    },
  };
}

/** Returns all volumes with the mark of the mirror. */
export function replicasOf(served: readonly ServedVolume[], mirror: string): OwnReplica[] {
  return served.filter((volume): volume is OwnReplica => volume.replica?.mirror === mirror);
}
