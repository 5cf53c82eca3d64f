// Mutants of the rules for clients with several data processes (S9, H1, Q2). They break the production listener, and the zoo runs them against
// explorers/data-process-worlds.ts. listener-mutants.ts breaks the listener of the simulator.

import type { OpenRequest } from '@rsio/protocol/wire/messages';
import type { VoteReply, VoteRequest } from '@rsio/rssrv/mirrors/session-votes';
import { Voters, type VotingClient } from '@rsio/rssrv/mirrors/voters';
import { Admissions } from '@rsio/rssrv/server/admissions';
import type { ServedSession } from '@rsio/rssrv/server/served-session';
import { SessionRequests } from '@rsio/rssrv/server/session-requests';
import type { SessionRequest } from '@rsio/rssrv/session/channel/channel';
import type { ClientIdentity, Grant } from '@rsio/rssrv/volumes/holds/grants';
import type { Holds } from '@rsio/rssrv/volumes/holds/holds';
import { type OpeningSession, Opens } from '@rsio/rssrv/volumes/holds/opens';
import { override } from '../../base/override.ts';
import type { Mutant, PrivateAs } from './mutant.ts';

interface AdmissionsInner {
  replacedBy: PrivateAs<Admissions['replacedBy'], (newcomer: ClientIdentity, dataProcess: number) => readonly ServedSession[]>;
}

interface RequestsInner {
  parts: PrivateAs<SessionRequests['parts'], { readonly holds: Holds }>;
}

export const DATA_PROCESS_MUTANTS: readonly Mutant[] = [
  {
    name: 'newer-beside-older',
    rule: 'S9',
    breaks: 'A newer instance of a client ends only the session of the same data process',
    explorer: 'data-processes',
    apply: () =>
      override<AdmissionsInner, [ClientIdentity, number], readonly ServedSession[]>(
        Admissions,
        'replacedBy',
        (original) => (self, newcomer, number) => original(self, newcomer, number).filter(({ dataProcess }) => dataProcess === number),
      ),
  },
  {
    name: 'opened-beside',
    rule: 'H1',
    breaks: 'An OPEN is granted while another data process of the client uses the volume',
    explorer: 'data-processes',
    apply: () =>
      override<Opens, [OpeningSession, OpenRequest], Promise<Grant>>(
        Opens,
        'grant',
        (original) => (self, session, request) => original(self, { ...session, usedBeside: () => null }, request),
      ),
  },
  {
    name: 'closed-beside',
    rule: 'H1',
    breaks: 'The CLOSE of one data process ends the hold that another data process uses',
    explorer: 'data-processes',
    apply: () =>
      override<RequestsInner, [ServedSession, SessionRequest], Promise<unknown>>(
        SessionRequests,
        'answer',
        (original) => async (self, session, request) => {
          if (request.what !== 'release') return original(self, session, request);
          session.uses.delete(request.volumeId);
          await self.parts.holds.release(request.volumeId, session.client, request.epoch);
          return null;
        },
      ),
  },
  {
    name: 'term-beside',
    rule: 'Q2',
    breaks: 'A voter promises the term of one data process to another one too',
    explorer: 'data-processes',
    apply: () =>
      override<Voters, [VotingClient, VoteRequest, () => boolean], Promise<VoteReply>>(
        Voters,
        'answer',
        (original) =>
          (self, { node, instance }, ...rest) =>
            original(self, { node, instance }, ...rest),
      ),
  },
];
