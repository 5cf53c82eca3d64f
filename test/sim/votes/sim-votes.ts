// The records of mirrors of a simulated server, in one life of its listener: the production Voters on a simulated file system, which outlives
// the listener. A crash of the machine keeps what was synced. Invariant: no VOTE is executed before the records were read, as a listener
// admits no client before.

import { join } from 'node:path';
import { STATUS } from '@rsio/protocol/wire/status';
import { voterReplicas } from '@rsio/rssrv/mirrors/own-replicas';
import type { VoteReply, VoteRequest } from '@rsio/rssrv/voters/session-votes';
import { Voters, type VotingClient } from '@rsio/rssrv/voters/voters';
import { NO_LOG } from '../base/no-log.ts';
import { mountPath } from '../files/sim-mounts.ts';

/** Of the file system of a server's state. */
export function stateMount(server: string): string {
  return `${server}-state`;
}

export class SimVotes {
  private readonly voters: Voters;
  private readonly loaded: Promise<void>;

  constructor(server: string) {
    const folder = join(mountPath(stateMount(server)), 'voters');
    this.voters = new Voters({ folder, log: NO_LOG, mayFound: () => true, replicas: voterReplicas(() => []) });
    this.loaded = this.voters.load();
  }

  async answer(client: VotingClient, request: VoteRequest, isWanted: () => boolean): Promise<VoteReply> {
    await this.loaded;
    if (!isWanted()) return { voteStatus: STATUS.SHUTTING_DOWN, sentence: 'The session ends' };
    return this.voters.answer(client, request, isWanted);
  }
}
