// Tests the decision about the claim of a client that has lost a mirror, case by case. access.test.ts tests the order with scripted servers,
// and test/integration/csi-mirrors.test.ts with real daemons. Rules: H6, M5, M8, M13.

import { type MirrorConfig, type Term, type VoteAnswer, VOTED } from '@rsio/protocol/wire/mirror-messages';
import { expect, test } from 'vitest';
import { judge, type Revoked, type Verdict } from './claim-end.ts';

const A: Term = { number: 4, node: 'a', instance: 1 };
/** The controller, which gives the order. */
const K: Term = { number: 5, node: 'k', instance: 1 };
const B: Term = { number: 6, node: 'b', instance: 1 };
const EARLIER: Term = { ...B, number: 2 };
const LATER: Term = { ...A, number: 9 };

const voters = ['v1', 'v2', 'v3'].map((voter, index) => ({ voter, serverid: index + 1 }));
const CONFIG: MirrorConfig = {
  k: 1,
  inSync: ['r1', 'r2'],
  clean: false,
  members: ['r1', 'r2'].map((identity, index) => ({ identity, serverid: index + 1, volume: 'db', universe: 0 })),
  voters,
  nextVoters: null,
  sizeBytes: 1024,
  blockSizeBytes: 512,
  clients: null,
} as MirrorConfig;

/** What a voter has: the promised term, and the term of its configuration. */
type Said = readonly [promise: Term | null, stored: Term, changes?: Partial<MirrorConfig> & { readonly voter?: string }];

function records(said: readonly (Said | null)[]): Map<number, VoteAnswer> {
  return new Map(
    said.flatMap((one, index): [number, VoteAnswer][] => {
      if (one === null) return [];
      const [promise, term, { voter = `v${index + 1}`, ...changes } = {}] = one;
      const stored = { term, config: { ...CONFIG, ...changes } };
      return [[index + 1, { voted: VOTED.DONE, sentence: '', voter, promise, stored, replica: null, keepsNotes: true }]];
    }),
  );
}

const WHOLE: Revoked = { client: 'a', asker: 'k', taken: new Set(['r1', 'r2']) };
/** The server of r2 has not executed the order. */
const PART: Revoked = { ...WHOLE, taken: new Set(['r1']) };

const OLD: Said = [A, A];
const ENDED = { kind: 'ended' } as const;
const claim = (number: number): Verdict => ({ kind: 'claim', number });
const CLEAN = { clean: true };

test.each<[string, Revoked, (Said | null)[], Verdict | RegExp]>([
  ['the client holds the mirror', WHOLE, [OLD, OLD, OLD], claim(5)],
  ['the client holds the mirror, and a replica is lost', PART, [OLD, null, OLD], claim(5)],
  ['the client has claimed, and has no configuration yet', WHOLE, [[A, EARLIER, CLEAN], [A, EARLIER, CLEAN], null], claim(5)],
  [
    'the client claims again while it is revoked',
    WHOLE,
    [
      [LATER, A],
      [K, A],
      [K, A],
    ],
    claim(10),
  ],
  ['the client has detached', WHOLE, [[A, A, CLEAN], [A, A, CLEAN], null], ENDED],
  ['the client has detached, and a replica is lost', PART, [[A, A, CLEAN], null, [A, A, CLEAN]], claim(5)],
  [
    'no client ever had it',
    WHOLE,
    [
      [null, K],
      [null, K],
      [null, K],
    ],
    ENDED,
  ],
  ['the client has detached, and only a minority knows it', WHOLE, [[A, A, CLEAN], OLD, OLD], claim(5)],
  ['a minority that knows only the time before the client answers', WHOLE, [[EARLIER, EARLIER, CLEAN], null, null], /no majority/],
  [
    'the mirror is free, and has a replica that got no order',
    WHOLE,
    Array.from({ length: 3 }, () => [
      K,
      K,
      { ...CLEAN, members: [...CONFIG.members, { identity: 'r3', serverid: 3, volume: 'db', universe: 0 }] },
    ]),
    /a may attach it/,
  ],
  ['the claim was ended before', WHOLE, [[K, A], [K, A], OLD], ENDED],
  ['the claim was ended before, and a replica is lost', PART, [[K, A], null, [K, A]], ENDED],
  ['the next client holds the mirror', WHOLE, [[B, B], [B, B], OLD], ENDED],
  ['the next client holds the mirror, and a replica is lost', PART, [[B, B], null, [B, B]], ENDED],
  [
    'the client has claimed at a minority while the next one has it',
    WHOLE,
    [
      [LATER, B],
      [B, B],
      [B, B],
    ],
    ENDED,
  ],
  ['the client claims from the next one, and another voter is silent', WHOLE, [[LATER, B], [B, B], null], /client b has the mirror/],
  ['an earlier order was interrupted after one claim', WHOLE, [[K, A], OLD, OLD], claim(6)],
  ['a third client is just claiming', WHOLE, [[B, A], OLD, OLD], /client b is claiming/],
  ['no majority of the voters answers', WHOLE, [OLD, null, null], /no majority/],
  ['a voter has lost its record, and another one is silent', WHOLE, [OLD, [A, A, { voter: 'other' }], null], /no majority/],
  ['no voter has a configuration', WHOLE, [null, null, null], /no voter/],
  [
    'only the lost replica is in sync',
    PART,
    [[A, A, { inSync: ['r2'] }], null, [A, A, { inSync: ['r2'] }]],
    /no server with a replica in sync/,
  ],
  ['the next client has only a replica that was not taken away', PART, [[B, B, { inSync: ['r2'] }], null, [B, B]], /replica in sync/],
  ['the mirror is free, and a replica is lost', PART, [[K, K, CLEAN], null, [K, K, CLEAN]], /a may attach it/],
  [
    'the voters are being changed, and the new ones have no majority',
    WHOLE,
    [[A, A, { nextVoters: ['v7', 'v8', 'v3'].map((voter, index) => ({ voter, serverid: index + 7 })) }], OLD, OLD],
    /no majority/,
  ],
])('%s', (_what, revoked, said, wanted) => {
  const verdict = judge(revoked, records(said));
  if (!(wanted instanceof RegExp)) expect(verdict).toEqual(wanted);
  else expect(verdict).toEqual({ kind: 'held', why: expect.stringMatching(wanted) });
});
