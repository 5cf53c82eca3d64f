// Tests the reasons against a restart of a server: each reason alone, and the bound on their number. The commands are tested in
// test/integration/rolling-restart.test.ts.

import { sharedPool } from '@rsio/api/testing/server-views';
import { expect, test } from 'vitest';
import type { JobRecord } from '../jobs/job-record.ts';
import type { VoterView } from '../mirrors/voters.ts';
import { servedVolume } from '../testing/backend-scene.ts';
import { READINESS_REASONS_MAX } from './limits.ts';
import { type ReadinessFacts, readinessOf } from './readiness.ts';

const TERM = { number: 2, node: 'big-2', instance: 1 };
const REPLICA = servedVolume({ name: 'db', id: 'id', replica: { mirror: 'm', identity: 'here', mapPath: '' } });

function record(inSync: readonly string[], clean = false): VoterView {
  const config = { k: 1, inSync, clean, members: [], voters: [], nextVoters: null };
  return { mirror: 'm', trouble: null, record: { mirror: 'm', promise: TERM, stored: { term: TERM, config } } } as unknown as VoterView;
}

/** A mirror with a replica at server 1 and one at server 2, and a witness, server 3. The record is that of the voter `own`. */
function voted(own: string, inSync: readonly string[]): VoterView {
  const members = [1, 2].map((serverid) => ({ identity: `r${serverid}`, serverid, volume: 'db', universe: 0 }));
  const voters = [1, 2, 3].map((serverid) => ({ voter: `v${serverid}`, serverid }));
  const config = { k: 1, inSync, clean: false, members, voters, nextVoters: null };
  return {
    mirror: 'm',
    trouble: null,
    record: { mirror: 'm', name: 'db', voter: own, promise: TERM, stored: { term: TERM, config } },
  } as unknown as VoterView;
}

test('a witness is not ready while a replica is not in sync, because its server may be away', () => {
  const reasons = (own: string, inSync: readonly string[]) => judged({ records: [voted(own, inSync)] }).reasons.map(({ text }) => text);
  expect(reasons('v3', ['r2'])).toEqual([expect.stringMatching(/Mirror db needs the vote of this server/)]);
  // The majority is sure without the server whose replica is not in sync, and while both replicas are in sync.
  expect(reasons('v1', ['r2'])).toEqual([]);
  for (const own of ['v1', 'v2', 'v3']) expect(reasons(own, ['r1', 'r2'])).toEqual([]);
});

function judged(changes: Partial<ReadinessFacts>) {
  return readinessOf({
    server: 'big-9',
    startedMs: 0,
    pools: [],
    shared: [],
    sessions: [],
    served: [],
    records: [],
    jobs: [],
    change: null,
    unsettled: () => null,
    ...changes,
  });
}

const ALONE = [
  { server: 'big-9', isThere: true },
  { server: 'big-8', isThere: false },
];
const copying = { id: '7', kind: 'move', name: 'db', from: 'fast', to: 'slow', state: 'running' } as unknown as JobRecord;

test.each<[string, Partial<ReadinessFacts>, RegExp]>([
  [
    'a mirror has all writes here alone',
    { served: [REPLICA], records: [record(['here'])] },
    /Only this server has all writes of mirror db/,
  ],
  [
    'no other server would take a pool',
    { shared: [sharedPool({ next: null, owners: ALONE })] },
    /No other server would take shared pool fast/,
  ],
  ['only a command moves a pool', { shared: [sharedPool({ next: null, takeOverMs: null })] }, /or move the pool \(rsadm pool move\)/],
  ['a pool changes its owner', { shared: [sharedPool({ standing: 'taking', isHere: false })] }, /is changing its owner/],
  ['a client has to send again', { served: [REPLICA], unsettled: () => 'big-2' }, /Client big-2 has not yet sent again/],
  ['a job is open', { jobs: [copying] }, /Job 7 is open: move of volume db from pool fast to pool slow/],
  ['a change is in progress', { change: 'the creation of volume db' }, /busy with the creation of volume db/],
])('not ready: %s', (_what, facts, reason) => {
  const { isReady, reasons } = judged(facts);
  expect([isReady, reasons.map(({ text }) => text)]).toEqual([false, [expect.stringMatching(reason)]]);
});

test('ready: another replica is in sync, the mirror is detached, this replica is not in sync, another server is next', () => {
  for (const views of [record(['here', 'there']), record(['here'], true), record(['there'])])
    expect(judged({ served: [REPLICA], records: [views] })).toMatchObject({ isReady: true, mirrors: 1 });
  expect(judged({ shared: [sharedPool(), sharedPool({ isHere: false, owner: 'big-8', next: null })] }).isReady).toBe(true);
});

test('the mirrors in use for which the server votes are counted, because it does not ask their other servers', () => {
  const votes = (...records: VoterView[]) => judged({ records }).votes;
  expect(votes(voted('v3', ['r1', 'r2']), record(['here', 'there']))).toBe(2);
  expect(votes(record(['here'], true))).toBe(0);
});

test('clients with one path or none are warnings, and many reasons are counted', () => {
  const session = (node: string, paths: number) => ({ node, address: '', keys: new Set<string>(), beganMs: 0, isSilent: false, paths });
  const { isReady, warnings } = judged({ sessions: [session('a', 0), session('b', 1), session('c', 2), session('d', 1)] });
  expect([isReady, warnings]).toEqual([
    true,
    ['1 client with no path to this server now: a', '2 clients with a single path to this server: b, d'],
  ]);
  const many = judged({ jobs: Array.from({ length: READINESS_REASONS_MAX + 3 }, () => copying) });
  expect(many.reasons.at(-1)?.text).toBe('3 further reasons');
});
