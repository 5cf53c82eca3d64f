// Tests what an administrator learns of mirrors whose clients are others: their state by the records of the servers, and that a mirror whose
// newest record is not told for sure is unknown, for `rsconfig impact` and for a restart.

import { expect, test } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { volume } from '../testing/server-views.ts';
import type { MirrorSummary } from '../views/mirror-views.ts';
import { type ImpactFacts, impactOf } from './impact.ts';
import { restartLacks } from './losses.ts';
import { type ToldRecords, type ToldVolumes, withToldMirrors } from './told-mirrors.ts';

type Entry = NonNullable<ToldRecords['result']>['records'][number];
type Vote = NonNullable<Entry['record']>;

const NAMES = ['a1', 'a2', 'w1'];
const TERM = { number: 3, node: 'db-1', instance: 1 };

function vote(serverid: number, changes: Partial<Vote> = {}): Vote {
  const member = (id: number) => ({ serverid: id, volume: 'db', universe: 0, identity: `r${id}`, inSync: true });
  return {
    ...{ name: 'db', universe: 0, voter: `v${serverid}`, founder: 'db-1', term: TERM, stored: { ...TERM, k: 2 }, isDetached: false },
    ...{ members: [member(1), member(2)], voters: [1, 2, 3].map((id) => ({ serverid: id, voter: `v${id}` })), clients: ['db-1'] },
    ...changes,
  };
}

interface Server {
  /** null: the server does not answer. */
  readonly mirrors: readonly string[] | null;
  /** undefined: the server does not tell its records. */
  readonly vote?: Vote | null;
}

const ALL: Record<string, Server> = {
  a1: { mirrors: ['m'], vote: vote(1) },
  a2: { mirrors: ['m'], vote: vote(2) },
  w1: { mirrors: [], vote: vote(3) },
};

function told(changes: Record<string, Server> = {}, known: readonly MirrorSummary[] = []): MirrorSummary[] {
  const error = new RsError('E_NO_PATH', 'away');
  const servers = NAMES.map((name, index) => {
    const { mirrors, vote: its } = { ...ALL, ...changes }[name]!;
    const place = { namespace: 'osl', server: name, serverid: index + 1, nodename: 'ops', isConnected: true, trouble: '', listed: [] };
    const volumes: ToldVolumes =
      mirrors === null
        ? { place, result: null, error }
        : { place, result: { volumes: mirrors.map((mirror) => volume({ name: 'db', mirror })), removed: [] }, error: null };
    const records: ToldRecords =
      its === undefined || mirrors === null
        ? { place, result: null, error }
        : {
            ...{ place, error: null },
            result: { isWitness: true, limit: 9, records: its === null ? [] : [{ mirror: 'm', trouble: null, record: its }] },
          };
    return { volumes, records };
  });
  return withToldMirrors(
    known,
    servers.map(({ volumes }) => volumes),
    servers.map(({ records }) => records),
  );
}

/** What `rsconfig impact --off` says of the mirrors. */
function effects(mirrors: readonly MirrorSummary[], ...off: readonly string[]): string[] {
  const servers = NAMES.map((server) => ({ namespace: 'osl', server, trouble: null, volumes: [], shared: [], replications: [] }));
  const facts: ImpactFacts = { servers, mirrors, gaps: [], paths: [], gates: [], applications: [] };
  const chosen = { namespace: 'osl', servers: new Set(off), clients: new Set<string>(), pools: new Set<string>(), isCut: () => false };
  return impactOf(facts, chosen).map(
    ({ effect, name, users, first }) => `${effect} ${name} ${users.join()} ${first === null ? '' : 'first'}`,
  );
}

const lacks = (mirrors: readonly MirrorSummary[]): string[] =>
  NAMES.flatMap((name) => restartLacks(mirrors, name).map(({ lack }) => `${name} ${lack}`));

test('a mirror of other clients is judged by the records that the servers tell an administrator', () => {
  const mirrors = told();
  expect(mirrors).toMatchObject([{ state: 'known', name: 'db', holder: 'db-1', majority: 2, mirror: 'm' }]);
  expect(effects(mirrors, 'a2', 'w1')).toEqual(['stops osl:db@0 db-1 ']);
  expect(effects(mirrors, 'a2')).toEqual(['degraded osl:db@0 db-1 ']);
  expect(lacks(mirrors)).toEqual([]);
});

test('a server that is away, or whose record is another one, has no vote', () => {
  for (const w1 of [{ mirrors: null }, { mirrors: [], vote: null }, { mirrors: [], vote: vote(3, { voter: 'new' }) }])
    expect(lacks(told({ w1 }))).toEqual(['a1 votes', 'a2 votes']);
  expect(told({ a2: { mirrors: null } })[0]?.replicas.map(({ isReachable, isSilent }) => [isReachable, isSilent])).toEqual([
    [true, false],
    [false, true],
  ]);
  // Only the witness tells of it.
  expect(told({ a1: { mirrors: null }, a2: { mirrors: null } })).toMatchObject([{ state: 'known', name: 'db' }]);
});

test('the newest configuration and the highest term count', () => {
  const old = (id: number): Vote => vote(id, { stored: { ...TERM, k: 1 } });
  const behind = vote(1, { members: vote(1).members.map((one) => ({ ...one, inSync: one.serverid === 1 })) });
  const mirrors = told({ a1: { mirrors: ['m'], vote: behind }, a2: { mirrors: ['m'], vote: old(2) }, w1: { mirrors: [], vote: old(3) } });
  expect(mirrors[0]?.replicas.map(({ inSync }) => inSync)).toEqual([true, false]);
  expect(lacks(mirrors)).toEqual(['a1 replica']);
  const ended = (id: number): Vote => vote(id, { isDetached: true });
  const all = (w1: Vote) =>
    told({ a1: { mirrors: ['m'], vote: ended(1) }, a2: { mirrors: ['m'], vote: ended(2) }, w1: { mirrors: [], vote: w1 } });
  expect(all(ended(3))[0]?.holder).toBeNull();
  expect(all(vote(3, { term: { number: 4, node: 'db-2', instance: 7 } }))[0]?.holder).toBe('db-2');
});

test.each<[string, Record<string, Server>, string[]]>([
  ['no server tells its records', { a1: { mirrors: ['m'] }, a2: { mirrors: ['m'] }, w1: { mirrors: [] } }, NAMES],
  [
    'no server has a record',
    { a1: { mirrors: ['m'], vote: null }, a2: { mirrors: ['m'], vote: null }, w1: { mirrors: [], vote: null } },
    ['a1', 'a2'],
  ],
  [
    'a record is of a release that does not tell its version',
    { w1: { mirrors: [], vote: (({ stored: _stored, ...rest }) => rest)(vote(3)) } },
    NAMES,
  ],
])('a mirror is unknown: %s', (_what, changes, expected) => {
  const mirrors = told(changes);
  expect(mirrors).toMatchObject([{ state: 'unknown', name: 'db' }]);
  expect(lacks(mirrors)).toEqual(expected.map((name) => `${name} unknown`));
  for (const name of expected) expect(effects(mirrors, name)).toEqual(['unknown osl:db@0  first']);
});

test('what the voters tell this client counts first, and what a removed mirror has left does not count', () => {
  const [known] = told();
  const mine: MirrorSummary = { ...known!, holder: 'ops' };
  expect(told({}, [mine])).toEqual([mine]);
  expect(told({}, [{ ...mine, state: 'unknown' }])).toEqual([known]);
  expect(told({}, [{ ...mine, namespace: 'lab' }])).toHaveLength(2);
  expect(told({ a1: { mirrors: [], vote: null }, a2: { mirrors: [], vote: null } })).toEqual([]);
});
