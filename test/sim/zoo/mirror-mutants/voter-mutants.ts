// Mutants of the voters of mirrors (rules Q1, Q2 and Q4): a record that a restart changes, a promise that falls or is not durable, a config
// that is stored without a promise. The zoo runs these mutants.

import type { Term, VoteAnswer } from '@rsio/protocol/wire/mirror-messages';
import type { VoteReply, VoteRequest } from '@rsio/rssrv/mirrors/session-votes';
import { newRecord, type VoterRecord } from '@rsio/rssrv/mirrors/voter-rules';
import { Voters, type VotingClient } from '@rsio/rssrv/mirrors/voters';
import { override } from '../../base/override.ts';
import { type Mutant, type PrivateAs } from '../mutants/mutant.ts';

interface Entry {
  readonly mirror: string;
  record: VoterRecord | null;
}

interface VotersInner {
  readonly entries: PrivateAs<Voters['entries'], Map<string, Entry>>;
  readonly newEntry: PrivateAs<Voters['newEntry'], (mirror: string) => Entry>;
}

type Execute = [Entry, VotingClient, VoteRequest];

/** Before a voter executes a VOTE of this kind, sets the promise in the voter's record to the result of `promiseOf`. */
function promising(vote: VoteRequest['vote'], promiseOf: (record: VoterRecord, term: Term) => Term | null): () => void {
  return override<Voters, Execute, Promise<VoteAnswer>>(Voters, 'execute', (original) => (self, entry, client, request) => {
    if (entry.record !== null && request.vote === vote && 'number' in request) {
      const term = { number: request.number, node: client.node, instance: client.instance };
      entry.record = { ...entry.record, promise: promiseOf(entry.record, term) };
    }
    return original(self, entry, client, request);
  });
}

const VOTERS: readonly Mutant[] = [
  {
    name: 'record-same-id',
    rule: 'Q1',
    also: ['M1', 'M18'],
    breaks: 'A voter that has lost its record keeps its id',
    apply: () => {
      /**
       * For each voter and mirror: the last record that the voter had for the mirror. The key names the folder of the voter and the mirror.
       */
      const lost = new Map<string, VoterRecord>();
      return override<VotersInner, [VotingClient, VoteRequest, () => boolean], Promise<VoteReply>>(
        Voters,
        'answer',
        (original) => (self, client, request, isWanted) => {
          const folder = String(Reflect.get(Reflect.get(self, 'ports') as object, 'folder'));
          const { mirror } = request;
          const entry = self.entries.get(mirror);
          const key = `${folder} ${mirror}`;
          const record = entry?.record ?? null;
          if (record !== null) lost.set(key, record);
          const before = lost.get(key);
          if (entry === undefined && before !== undefined && request.vote !== 'found') {
            const again = self.newEntry(mirror);
            again.record = newRecord(before, before.voter, before.founder);
            self.entries.set(mirror, again);
          }
          return original(self, client, request, isWanted);
        },
      );
    },
  },
  {
    name: 'promise-volatile',
    rule: 'Q2',
    also: ['M1'],
    breaks: 'A voter answers a CLAIM before its promise is on disk',
    apply: () =>
      override<Voters, [Entry, VoterRecord], Promise<void>>(Voters, 'save', (original) => (self, entry, record) => {
        if (entry.record === null || entry.record.stored !== record.stored) return original(self, entry, record);
        entry.record = record;
        return Promise.resolve();
      }),
  },
  {
    name: 'promise-falls',
    rule: 'Q2',
    breaks: 'A voter promises a lower term after a higher one',
    apply: () => promising('claim', () => null),
  },
  {
    name: 'confirm-unchecked',
    rule: 'Q2',
    breaks: 'A voter confirms a term that is below its promise',
    apply: () =>
      override<Voters, Execute, Promise<VoteAnswer>>(Voters, 'execute', (original) => async (self, entry, client, request) => {
        const answer = await original(self, entry, client, request);
        return request.vote === 'confirm' ? { ...answer, voted: 0 } : answer;
      }),
  },
  {
    name: 'config-unpromised',
    rule: 'Q4',
    breaks: 'A voter stores a config of a term that it has not promised',
    apply: () => promising('config', (_record, term) => term),
  },
  {
    name: 'config-volatile',
    rule: 'Q4',
    also: ['M1'],
    breaks: 'A voter answers a CONFIG before it is on disk',
    apply: () =>
      override<Voters, [Entry, VoterRecord], Promise<void>>(Voters, 'save', (original) => (self, entry, record) => {
        if (entry.record === null || entry.record.stored === record.stored) return original(self, entry, record);
        entry.record = record;
        return Promise.resolve();
      }),
  },
];

export const VOTER_MUTANTS: readonly Mutant[] = VOTERS.map((mutant) => ({ ...mutant, needsMirrors: true }));
