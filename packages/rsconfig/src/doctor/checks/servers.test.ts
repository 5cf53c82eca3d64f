// Which replications and pools of servers doctor reports: replications that go on only by an order, and pools that are full or lost.

import { expect, test } from 'vitest';
import type { PoolView, ReplicationView } from '@rsio/api/views/views';
import { doctorFacts } from '../../testing/facts.ts';
import { checkServers } from './servers.ts';

function view(changes: Partial<ReplicationView>): ReplicationView {
  return {
    id: 'a6f434c7-d352-4c99-ad68-d26fec509c55',
    direction: 'in',
    peer: 'oslo-1',
    pool: 'a',
    everyMs: 1_000,
    keep: 6,
    limitBytes: null,
    volumes: [{ name: 'r1', universe: 0 }],
    state: 'waiting',
    text: '',
    momentMs: 1,
    ageMs: 1,
    doneBytes: 0,
    totalBytes: 0,
    nextMs: 2,
    ...changes,
  };
}

function found(...replications: readonly ReplicationView[]): readonly string[] {
  const server = { name: 'big-9', release: null, clockOffMs: null, sharesVolumes: false, replications, pools: [], file: null };
  return checkServers(doctorFacts({ servers: [server] })).map(({ severity, object, what, where }) =>
    [severity, object, what, where].join(' | '),
  );
}

test('a replication that waits for an order is found, with the server and the text that names the orders', () => {
  expect(found(view({ state: 'diverged', text: 'rsadm volume promote r1 keeps the content' }))).toEqual([
    'warning | replication of r1 from oslo-1 | It is diverged: rsadm volume promote r1 keeps the content | server big-9',
  ]);
  const volumes = [
    { name: 'data', universe: 0 },
    { name: 'log', universe: 0 },
  ];
  expect(found(view({ state: 'closed', direction: 'out', volumes, text: 'T' }))[0]).toContain('replication of data and log to oslo-1');
});

test('a replication that goes on by itself is no finding', () => {
  const states = ['waiting', 'copying', 'absent', 'ended', 'promoted', 'handing-over'] as const;
  expect(found(...states.map((state) => view({ state })))).toEqual([]);
});

function pool(changes: Partial<PoolView>): PoolView {
  return {
    name: 'fast',
    path: '',
    state: 'ready',
    reason: null,
    totalBytes: 2 ** 30,
    freeBytes: 2 ** 29,
    reserve: 0.05,
    isShort: false,
    fullPercent: null,
    ...changes,
  } as PoolView;
}

test('a pool without its reserve, and a pool that cannot be used, are errors; one that is almost full is a warning', () => {
  const pools = [
    pool({ fullPercent: 80 }),
    pool({ name: 'filled', fullPercent: 90 }),
    pool({ name: 'full', isShort: true, freeBytes: 2 ** 20 }),
    pool({ name: 'gone', state: 'unavailable', reason: 'EIO' }),
  ];
  const server = { name: 'big-9', release: null, clockOffMs: null, sharesVolumes: false, replications: [], pools, file: null };
  expect(checkServers(doctorFacts({ servers: [server] })).map(({ severity, object, what }) => [severity, object, what])).toEqual([
    ['warning', 'pool filled of big-9', 'It is more than 90% full, 512.0M of 1.0G free'],
    ['error', 'pool full of big-9', 'Less than its reserve is free, 1.0M of 1.0G free'],
    ['error', 'pool gone of big-9', 'It cannot be used: EIO'],
  ]);
});

test('a server that differs from the file of its namespace, and one with an older file, are named', () => {
  const file = (server: string, generation: number, drift: string[]) => ({
    ...{ name: server, release: null, clockOffMs: null, sharesVolumes: false, replications: [], pools: [] },
    file: {
      server,
      namespaceid: 200,
      applied: { generation, hash: `${generation}`, atMs: 0, by: 'root' },
      drift,
      extra: [],
      secondKeys: [],
    },
  });
  const servers = [file('big-9', 2, []), file('big-8', 2, ['client big-2 is removed']), file('big-7', 1, [])];
  expect(checkServers(doctorFacts({ servers })).map(({ object, what }) => [object, what])).toEqual([
    ['server big-8', 'It differs from the file of its namespace: client big-2 is removed'],
    ['server big-7', 'It differs from the file of its namespace: it has generation 1, and big-9 has 2: apply the file again'],
  ]);
});
