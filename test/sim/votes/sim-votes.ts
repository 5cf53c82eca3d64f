// The votes of a simulated server during the life of one listener. The production Voters run on a simulated file system, which outlives the
// listener. The production MirrorVotes fence and place replicas. A crash of the machine keeps synced data. Invariant: no VOTE is executed
// before the records were read. In production, the listener admits no client before it has read the records.

import { join } from 'node:path';
import type { Clock } from '@rsio/base/lib/clock';
import { STATUS } from '@rsio/protocol/wire/status';
import type { ServedVolume } from '@rsio/rssrv/storage/io/served-volume';
import type { Holds } from '@rsio/rssrv/volumes/holds/holds';
import { MirrorVotes, type ReplicaStore } from '@rsio/rssrv/mirrors/mirror-votes';
import { voterReplicas } from '@rsio/rssrv/mirrors/own-replicas';
import type { VoteReply, VoteRequest } from '@rsio/rssrv/mirrors/session-votes';
import { Voters, type VotingClient } from '@rsio/rssrv/mirrors/voters';
import { NO_LOG } from '../base/no-log.ts';
import { mountPath } from '../files/sim-mounts.ts';

export function stateMount(server: string): string {
  return `${server}-state`;
}

export interface SimVotesPorts {
  readonly server: string;
  readonly clock: Pick<Clock, 'after'>;
  readonly store: ReplicaStore;
  holds(): Holds;
  served(): readonly ServedVolume[];
  incarnationOf(id: string): string;
  incarnationEnded(id: string): void;
  /** Nodes whose sessions use the volume. */
  usersOf(id: string): readonly string[];
  revoke(node: string, id: string, epoch: number): Promise<boolean>;
  listChanged(): void;
}

export class SimVotes {
  private readonly voters: Voters;
  private readonly votes: MirrorVotes;
  private readonly loaded: Promise<void>;

  constructor(ports: SimVotesPorts) {
    const folder = join(mountPath(stateMount(ports.server)), 'voters');
    const served = (): readonly ServedVolume[] => ports.served();
    this.voters = new Voters({ folder, log: NO_LOG, mayFound: () => true, replicas: voterReplicas(served) });
    const { voters } = this;
    this.votes = new MirrorVotes({
      clock: ports.clock,
      log: NO_LOG,
      voters,
      store: ports.store,
      volumes: {
        get served() {
          return served();
        },
      },
      fences: { order: (_node, work) => work() },
      holds: {
        endHolds: (...given) => ports.holds().endHolds(...given),
        epochOf: (id) => ports.holds().epochOf(id),
        holdersOf: (id) => ports.holds().holdersOf(id),
        lackedTerm: (...given) => ports.holds().lackedTerm(...given),
      },
      whyNoPlace: () => null,
      incarnationOf: ({ id }) => ports.incarnationOf(id),
      incarnationEnded: async ({ id }) => ports.incarnationEnded(id),
      usersOf: (id) => ports.usersOf(id),
      revoke: (node, id, epoch) => ports.revoke(node, id, epoch),
      listChanged: () => ports.listChanged(),
    });
    this.loaded = voters.load();
  }

  /** The record of the mirror on disk, with the highest promised term. */
  recordOf(mirror: string): ReturnType<Voters['recordOf']> {
    return this.voters.recordOf(mirror);
  }

  async answer(client: VotingClient, request: VoteRequest, isWanted: () => boolean): Promise<VoteReply> {
    await this.loaded;
    if (!isWanted()) return { voteStatus: STATUS.SHUTTING_DOWN, sentence: 'The session ends' };
    return this.votes.answer(client, request, isWanted);
  }
}
