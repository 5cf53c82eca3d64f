// Tests the command that makes snapshots of an attached mirror: the requests to each server, the answer, and refusals before a snapshot is
// made. The tests in protocol/mirror/moments check that all replicas get the same moment.

import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { snapshot as view } from '@rsio/api/testing/server-views';
import { volume as managed } from '@rsio/api/testing/server-views';
import type { MirrorView } from '@rsio/protocol/mirror/membership/interface';
import { snapshotIdOf } from '@rsio/protocol/mirror/moments/snapshot-id';
import type { VolumeEntry } from '@rsio/protocol/wire/messages';
import { expect, test } from 'vitest';
import type { MirrorServer } from './mirror-server.ts';
import { SNAPSHOT_SETTLE_MS } from '../limits.ts';
import { MirrorSnapshots, type SnapshotMirror } from './snapshots.ts';

const MIRROR = 'a'.repeat(32);
const CHOSEN = '8a65f309-f092-4c5a-913e-b2a388712c50';
const ID = snapshotIdOf(MIRROR, CHOSEN);
const PARAMS = { namespace: null, name: 'db', universe: 0, snapshot: 'x', id: CHOSEN };

type Answer = (method: string, params: Readonly<Record<string, unknown>>) => unknown;

const OLD = view({ name: 'db', snapshot: 'x', id: 'other', sizeBytes: 4096 });

function made(method: string): unknown {
  const moment = { mirror: MIRROR, term: 3, number: 1, isProven: method !== 'replica-snapshot' };
  const one = view({ name: 'db', snapshot: 'x', id: ID, sizeBytes: 4096, moment });
  return method === 'volume-show' ? { volume: managed({ name: 'db' }), snapshots: [] } : { snapshot: one };
}

function scene(answers: readonly Answer[] = [], roles: readonly ('member' | 'returning')[] = ['member', 'member']) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const requests: unknown[] = [];
  const names = ['big-9', 'big-8'];
  const servers = names.map(
    (name, index): MirrorServer => ({
      namespace: 'osl',
      name,
      serverid: index + 1,
      trouble: null,
      proofs: 1,
      isConnected: true,
      volumes: [{ name: 'db', universe: 0, mirror: MIRROR } as unknown as VolumeEntry],
      callAdmin: async (method, params) => {
        if (method !== 'volume-show') asked.push(`${name} ${method} term ${(params as { term: number }).term}`);
        if (method === 'replica-snapshot') requests.push((params as { request: unknown }).request);
        return (answers[index] ?? made)(method, params as Record<string, unknown>);
      },
      vote: () => expect.unreachable(),
    }),
  );
  const replicas = roles.map((role, index) => ({
    identity: names[index]!,
    server: index + 1,
    role,
    counts: true,
    reads: role === 'member',
    confirms: true,
    session: 'open' as const,
    mayJoin: false,
    foundBytes: 4096,
    lacksTerm: null,
  }));
  const base = { term: 3, isServing: true, replicas, voterSets: [], sizeBytes: 4096, isPending: false, isAllInSync: true, waitsFor: null };
  const mirror: SnapshotMirror & { isSettled: boolean } = {
    label: 'osl:db@0',
    volume: { namespace: 'osl', name: 'db', universe: 0 },
    view: base satisfies MirrorView,
    isSettled: true,
    driver: { mirror: MIRROR, confirmByVoters: () => Promise.resolve(true) },
    io: {
      view: base,
      volume: { sizeBytes: 4096 },
      unsettled: { count: 0 },
      tenureOf: () => 'one',
      lock: (_begin, _end, granted) => {
        granted();
        return { release: () => undefined };
      },
      flushAt: (identity, done) => {
        asked.push(`${identity} flush`);
        done(0);
      },
    },
  };
  let ids = 0;
  const warned: string[] = [];
  const snapshots = new MirrorSnapshots({
    clock,
    log: { info: () => undefined, warn: (text) => void warned.push(text) },
    mirrors: { named: () => mirror },
    newId: () => `request-${++ids}`,
    management: {
      change: (_label, work) => work(),
      chosen: () => [{ name: 'osl', nodename: 'big-2', servers, unreached: [] }],
    },
  });
  return { asked, requests, warned, clock, mirror, make: (isMoment = false) => snapshots.make(PARAMS, isMoment) };
}

test('the servers in sync are flushed, asked at one moment, and then asked to prove what they made', async () => {
  const { asked, make } = scene();
  expect(await make()).toMatchObject({
    namespace: 'osl',
    name: 'db',
    universe: 0,
    id: ID,
    term: 3,
    servers: ['big-9', 'big-8'],
    missing: [],
  });
  const both = (what: string): string[] => ['big-9', 'big-8'].map((name) => `${name} ${what}`);
  expect(asked).toEqual([...both('flush'), ...both('replica-snapshot term 3'), ...both('replica-snapshot-prove term 3')]);
});

test('a replica that is copied is not asked, and the answer says so; so is one whose server refuses or cannot prove it', async () => {
  const copied = scene([], ['member', 'returning']);
  expect(await copied.make()).toMatchObject({ servers: ['big-9'], missing: [{ server: 'big-8', reason: 'its replica is being copied' }] });
  expect(copied.asked.some((one) => one.startsWith('big-8'))).toBe(false);
  for (const failing of ['replica-snapshot', 'replica-snapshot-prove']) {
    const { make } = scene([
      made,
      (method) => {
        if (method === failing) throw new RsError('E_POOL', 'The pool is full');
        return made(method);
      },
    ]);
    expect(await make()).toMatchObject({ servers: ['big-9'], missing: [{ server: 'big-8', reason: 'The pool is full' }] });
  }
});

test('that a server lacks the moments of a replication is logged once, and that it lacks another snapshot each time', async () => {
  let last = 0;
  const numbered: Answer = (method, { number = last }) => {
    last = Number(number);
    const moment = { mirror: MIRROR, term: 3, number: last, isProven: method !== 'replica-snapshot' };
    if (method === 'volume-show') return made(method);
    return { snapshot: view({ name: 'db', snapshot: 'x', id: ID, sizeBytes: 4096, moment }) };
  };
  const { make, warned } = scene([numbered], ['member', 'returning']);
  for (let time = 0; time < 3; time++) await make(true);
  expect(warned).toEqual(['Server big-8 does not have snapshot osl:db@0@x: its replica is being copied']);
  for (let time = 0; time < 2; time++) await make();
  expect(warned).toHaveLength(3);
});

test('without a server that has it there is an error with all reasons, and the code that all servers gave', async () => {
  const refuse: Answer = (method) => {
    if (method === 'volume-show') return made(method);
    throw new RsError('E_NO_REFLINK', 'No reflink');
  };
  await expect(scene([refuse, refuse]).make()).rejects.toMatchObject({
    code: 'E_NO_REFLINK',
    message: 'No server has made snapshot osl:db@0@x: big-9: No reflink; big-8: No reflink',
  });
});

// Regression: servers refused a repeated command, because the command reused the request id of the earlier moment.
test('each moment is another request, also for the same order', async () => {
  const refuse: Answer = (method) => {
    if (method === 'volume-show') return made(method);
    throw new RsError('E_TIMEOUT', 'Slow');
  };
  const { make, requests } = scene([refuse, refuse]);
  for (let time = 0; time < 2; time++) await expect(make()).rejects.toMatchObject({ code: 'E_TIMEOUT' });
  expect(requests).toEqual(['request-1', 'request-1', 'request-2', 'request-2']);
});

test('a snapshot of an earlier moment under the same id is none of this moment', async () => {
  const stale: Answer = (method) => {
    if (method === 'volume-show') return made(method);
    const moment = { mirror: MIRROR, term: 3, number: 0, isProven: method !== 'replica-snapshot' };
    return { snapshot: view({ name: 'db', snapshot: 'x', id: ID, sizeBytes: 4096, moment }) };
  };
  const { asked, make } = scene([made, stale]);
  expect(await make()).toMatchObject({
    servers: ['big-9'],
    missing: [{ server: 'big-8', reason: 'its snapshot of this request is of another moment' }],
  });
  expect(asked).not.toContain('big-8 replica-snapshot-prove term 3');
});

test('a name that a server has is refused, and the same request again is answered', async () => {
  const shows =
    (one: object): Answer =>
    (method) =>
      method === 'volume-show' ? { volume: managed(), snapshots: [one] } : made(method);
  await expect(scene([made, shows(OLD)]).make()).rejects.toThrow('Snapshot osl:db@0@x exists on big-8: choose another name');
  const proven = (made('replica-snapshot-prove') as { snapshot: object }).snapshot;
  const again = scene([made, shows(proven)]);
  expect(await again.make()).toMatchObject({ id: ID, servers: ['big-8'] });
  expect(again.asked).toEqual([]);
});

test('a mirror that was just attached is waited for, and one whose replicas are made equal is busy', async () => {
  const { clock, mirror, make } = scene();
  mirror.isSettled = false;
  const soon = make();
  await Promise.resolve();
  mirror.isSettled = true;
  clock.advance(100);
  expect((await soon).servers).toHaveLength(2);
  mirror.isSettled = false;
  const late = make();
  const failed = expect(late).rejects.toMatchObject({
    code: 'E_BUSY',
    message: expect.stringContaining('still being made equal') as string,
  });
  for (let ms = 0; ms <= SNAPSHOT_SETTLE_MS; ms += 50) {
    clock.advance(50);
    await Promise.resolve();
  }
  await failed;
});
