// Mutants of the rules of votes and replicas that need one server only (Q3 and Q5 to Q9): who may use a record, how many VOTEs wait, under
// which term a replica is open, and when its data is void. The zoo hunts these mutants in the worlds of explorers/vote-worlds.ts.

import { IOCTL, type OpenRequest } from '@rsio/protocol/wire/messages';
import type { VoteAnswer } from '@rsio/protocol/wire/mirror-messages';
import type { Header } from '@rsio/protocol/wire/header';
import { MirrorVotes } from '@rsio/rssrv/mirrors/mirror-votes';
import type { VoteReply, VoteRequest } from '@rsio/rssrv/mirrors/session-votes';
import type { VoterRecord } from '@rsio/rssrv/mirrors/voter-rules';
import { Voters, type VotingClient } from '@rsio/rssrv/mirrors/voters';
import type { OpenVolume } from '@rsio/rssrv/session/request';
import { SessionVolumes } from '@rsio/rssrv/session/session-volumes';
import type { ServedVolume } from '@rsio/rssrv/storage/io/served-volume';
import type { ClientIdentity, Grant } from '@rsio/rssrv/volumes/holds/grants';
import { type GrantPorts, Holds } from '@rsio/rssrv/volumes/holds/holds';
import { override } from '../../base/override.ts';
import type { Mutant, PrivateAs } from '../mutants/mutant.ts';

interface Entry {
  record: VoterRecord | null;
  waiting: number;
}

interface VotersInner {
  readonly entries: PrivateAs<Voters['entries'], Map<string, Entry>>;
}

interface VolumesInner {
  open: PrivateAs<SessionVolumes['open'], Map<number, OpenVolume>>;
}

type Answer = [client: VotingClient, request: VoteRequest, isWanted: () => boolean];
type Claimed = [record: VoterRecord, term: unknown, takesOver: boolean, dataProcess: number | undefined];
type GrantArguments = [volumeId: string, client: ClientIdentity, request: OpenRequest, ports: GrantPorts];

const VOTES: readonly Mutant[] = [
  {
    name: 'record-for-all',
    rule: 'Q3',
    breaks: 'Every client may read the record of a mirror',
    apply: () =>
      override<Voters, [Entry, VotingClient, VoteRequest], Promise<VoteAnswer>>(
        Voters,
        'execute',
        (original) => (self, entry, client, request) => {
          const { record } = entry;
          if (record === null || request.vote !== 'record') return original(self, entry, client, request);
          return original(self, { ...entry, record: { ...record, founder: client.node, stored: null } }, client, request);
        },
      ),
  },
  {
    name: 'claim-takes-over',
    rule: 'Q3',
    breaks: 'A claim takes the mirror from another client, although it was not to take over',
    apply: () =>
      override<object, Claimed, unknown>(
        Voters,
        'claimed',
        (original) => (self, record, term, _takesOver, dataProcess) => original(self, record, term, true, dataProcess),
      ),
  },
  {
    name: 'votes-unbounded',
    rule: 'Q5',
    breaks: 'Any number of VOTEs about one mirror wait',
    apply: () =>
      override<VotersInner, Answer, Promise<VoteReply>>(Voters, 'answer', (original) => (self, client, request, isWanted) => {
        const entry = self.entries.get(request.mirror);
        const waiting = entry?.waiting ?? 0;
        if (entry !== undefined) entry.waiting = 0;
        const reply = original(self, client, request, isWanted);
        if (entry !== undefined) entry.waiting += waiting;
        return reply;
      }),
  },
  {
    name: 'open-unpromised',
    rule: 'Q6',
    breaks: 'A replica is opened under any term that no other term has open',
    apply: () =>
      override<Holds, GrantArguments, Promise<Grant>>(Holds, 'grant', (original) => (self, volumeId, client, request, ports) => {
        const promise = { number: request.mirror?.number ?? 0, node: client.node, instance: client.instance };
        return original(self, volumeId, client, request, { ...ports, promiseOf: () => ({ name: 'db', promise }) });
      }),
  },
  {
    name: 'claim-impatient',
    rule: 'Q7',
    breaks: 'A claim that has waited for long enough names the replica, although requests of a lower term still run',
    apply: () =>
      override<MirrorVotes, [Promise<unknown>], Promise<boolean>>(
        MirrorVotes,
        'within',
        (original) => (self, work) => original(self, work).then(() => true),
      ),
  },
  {
    name: 'place-keeps',
    rule: 'Q8',
    breaks: 'PLACE of a new term keeps the identity of the data that the replica has already',
    apply: () =>
      override<object, [Pick<ServedVolume, 'replica'>], boolean>(
        MirrorVotes,
        'isPlaced',
        () =>
          (_self, { replica }) =>
            replica !== undefined,
      ),
  },
  {
    name: 'term-revoked',
    rule: 'Q9',
    breaks: 'TERM is OK on a revoked handle until its last request has ended',
    apply: () =>
      override<VolumesInner, [Header, Buffer, unknown], Promise<void>>(
        SessionVolumes,
        'ioctl',
        (original) => (self, header, body, answered) => {
          const open = self.open.get(header.handle);
          if (open === undefined || header.aux !== IOCTL.TERM) return original(self, header, body, answered);
          const { isClosing } = open;
          open.isClosing = false;
          const done = original(self, header, body, answered);
          open.isClosing = isClosing;
          return done;
        },
      ),
  },
];

export const VOTE_MUTANTS: readonly Mutant[] = VOTES.map((mutant) => ({ ...mutant, explorer: 'votes' }));
