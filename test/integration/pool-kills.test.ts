// kill -9 of rssrv at each step of each change of a pool's files. RSIO_TEST_KILL_AT, which only the server for tests heeds, names the step.
// The next start must find the state before or after the change, and no file that belongs to no volume. Kills at random times under load
// are in pools.test.ts; the same steps without a process are in packages/rssrv/src/pools/pool-stops.test.ts. Rules: G15.

import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { callServer } from '@rsio/api/rssrv/call-server';
import { PoolFiles } from '@rsio/rssrv/pools/disk/pool-files';
import { beforeEach, expect, it } from 'vitest';
import { serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';

const BLOCK = 4096;
const TEST_MS = 300_000;

const hosts = useHosts();
let host: Host;
let pool: string;

beforeEach(() => {});

interface Verb {
  readonly verb: string;
  readonly steps: readonly string[];
  /** Calls that prepare the change without reaching one of its steps. */
  readonly prepare: readonly Call[];
  readonly change: Call;
}

type Call = readonly [method: string, params: Readonly<Record<string, unknown>>];

const CREATE: Call = ['volume-create', { sizeBytes: BLOCK }];
const REMOVE: Call = ['volume-remove', {}];

const VERBS: readonly Verb[] = [
  {
    verb: 'create',
    steps: ['folder', 'data', 'manifest', 'commit', 'durable'].map((step) => `create: ${step}`),
    prepare: [],
    change: CREATE,
  },
  {
    verb: 'grow',
    steps: ['grow: data', 'grow: durable data', 'change: commit'],
    prepare: [CREATE],
    change: ['volume-grow', { sizeBytes: 3 * BLOCK }],
  },
  { verb: 'set', steps: ['change: commit'], prepare: [CREATE], change: ['volume-set', { settings: ['readonly=yes'] }] },
  { verb: 'remove', steps: ['note', 'commit', 'durable'].map((step) => `remove: ${step}`), prepare: [CREATE], change: REMOVE },
  {
    verb: 'restore',
    steps: ['manifest', 'commit', 'durable', 'note'].map((step) => `restore: ${step}`),
    prepare: [CREATE, REMOVE],
    change: ['volume-restore', {}],
  },
  { verb: 'rename', steps: ['change: commit'], prepare: [CREATE], change: ['volume-rename', { newName: 'renamed' }] },
];

async function call([method, params]: Call, name: string): Promise<unknown> {
  const ask = callServer as unknown as (socket: string, method: string, params: object) => Promise<unknown>;
  return await ask(host.rssrvPaths.controlSocket, method, { universe: 0, name, ...params });
}

/** Returns the volumes and removed volumes. Expects that the pool contains nothing else. */
async function state(): Promise<string[]> {
  const { volumes, removed } = await callServer(host.rssrvPaths.controlSocket, 'volume-list', { pool: null });
  const { pools } = await callServer(host.rssrvPaths.controlSocket, 'pool-list', {});
  expect(pools).toMatchObject([{ state: 'ready', findings: [], volumes: volumes.length, removed: removed.length }]);
  expect(volumes.filter(({ state: now }) => now !== 'served')).toEqual([]);
  const folders = [...readdirSync(path.join(pool, 'volumes')), ...readdirSync(path.join(pool, 'removed'))];
  expect(new Set(folders)).toEqual(new Set([...volumes, ...removed].map(({ id }) => id)));
  return [
    ...volumes.map(({ name, sizeBytes, readonly }) => `${name} ${sizeBytes} ${readonly}`),
    ...removed.map(({ name, sizeBytes }) => `removed ${name} ${sizeBytes}`),
  ].toSorted();
}

it('the next start finds the state before or after, and the change can be made', { timeout: TEST_MS }, async () => {
  host = hosts.host();
  pool = path.join(host.root, 'pool');
  mkdirSync(pool);
  const allocate = (): Promise<void> => Promise.reject(new Error('An empty pool needs no space'));
  await new PoolFiles(pool, { allocate }).makePool({ id: crypto.randomUUID(), createdMs: Date.now() });
  const network = await hosts.network(1);
  host.writeConfig('rssrv', serverConfig(network, { volumes: {}, pools: { fast: { path: pool, reserve: '0%' } } }));
  let before: string[] = [];
  let number = 0;
  let [isBefore, isAfter] = [0, 0];
  for (const { verb, steps, prepare, change } of VERBS) {
    for (const step of steps) {
      const name = `v${number++}`;
      process.env['RSIO_TEST_KILL_AT'] = step;
      await host.startFaulty();
      delete process.env['RSIO_TEST_KILL_AT'];
      for (const one of prepare) await call(one, name);
      before = await state();
      await expect(call(change, name), `${verb} at ${step}`).rejects.toThrow();
      // This start would fail if the server that the step should have killed was still running.
      await host.startFaulty();
      const found = await state();
      const wasMade = JSON.stringify(found) !== JSON.stringify(before);
      if (wasMade) isAfter++;
      else {
        isBefore++;
        await call(change, name);
      }
      const after = await state();
      // Except for this volume, the result is the same whether the kill came before or after the commit of the change.
      const differs = after.filter((line) => !before.includes(line));
      expect(differs, `${verb} at ${step}`).toHaveLength(1);
      if (wasMade) expect(after).toEqual(found);
      await host.stop('rssrv');
    }
  }
  expect([isBefore, isAfter]).toEqual([7, 10]);
});
