// Tests what `pool-list` and the metrics of a server show about a shared pool that the server does not own. While another server serves
// such a pool, the pool does not count as unavailable. farm-handlers.test.ts tests `farm-show`.

import type { PoolConfig } from '@rsio/common/config/schema/types';
import type { PoolView } from '@rsio/api/views/views';
import { misfit } from '@rsio/base/lib/shape';
import { POOL } from '@rsio/api/views/views';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import type { FarmRecord } from '../farm/farm-record.ts';
import { Farms, type PoolAway } from '../farm/farms.ts';
import type { SharedPool } from '../farm/shared-pool.ts';
import type { PoolState } from '../pools/catalogue.ts';
import { emptyState } from '../pools/pool-content.ts';
import type { Pools } from '../pools/pools.ts';
import type { Fences } from '../volumes/fences.ts';
import type { Inventory } from './inventory.ts';
import { ServerMetrics, type ServerMetricsPorts } from './server-metrics.ts';
import { poolView } from './server-views.ts';

const CONFIG = { name: 'fast', path: '/srv/fast', limitBytes: null, reserve: 0, overcommit: 'warn' as const, line: 0 };
const DISK = {
  disk: { kind: 'device', path: '/dev/x' },
  fence: { kind: 'rbd' },
  fencesSelf: false,
  owners: ['big-9', 'big-8'],
  takeOverMs: 10_000,
} as const satisfies PoolConfig['shared'];
const STALE = 'its record was not read yet';
const SHARED: PoolState = { ...emptyState({ ...CONFIG, shared: DISK }), trouble: STALE };
const PRIVATE: PoolState = { ...emptyState({ ...CONFIG, name: 'ssd', shared: null }), trouble: 'not mounted' };
const FULL = { isShort: false, fullPercent: null };
const WEEK_MS = 7 * 24 * 60 * 60 * 1_000;
const PACE = { week: { bytesPerDay: 1, fullInMs: WEEK_MS }, month: { bytesPerDay: -1, fullInMs: null } };

const RECORD: FarmRecord = {
  version: 9,
  generation: 4,
  state: 'serving',
  owner: { generation: 4, server: 'big-8', client: 'c-4' },
  writers: [],
  life: 3,
  next: null,
  owners: DISK.owners,
  sinceMs: 1_000,
};

function shown(pool: PoolState, away: PoolAway | null): Pick<PoolView, 'state' | 'reason'> {
  const view = poolView(pool, [pool], { space: FULL, pace: PACE }, away);
  expect(misfit(POOL, view)).toBe(null);
  return { state: view.state, reason: view.reason };
}

/** Returns the metrics of a server with the given shared pool and with a pool of its own, keyed by name and labels. */
async function metricsWith(away: PoolAway | null, pool: Partial<SharedPool>): Promise<Record<string, number>> {
  const server = {
    clock: new FakeClock(),
    log: { info: () => undefined },
    farms: { list: [{ name: 'fast', ...pool }] as unknown, away: awayOf },
    peers: { states: [] },
    statistics: () => Promise.resolve({ sessions: [], waits: [] }),
    sessions: () => [],
    configuredMs: () => 0,
    config: () => ({ interfaces: [], clients: [], volumes: [] }),
    workers: { pids: [] },
  };
  function awayOf({ isShared }: { readonly isShared: boolean }): PoolAway | null {
    return isShared ? away : null;
  }
  const pools = { states: [SHARED, PRIVATE], space: { of: () => FULL } } as unknown as Pools;
  const ports = {
    server,
    pools,
    paces: { of: () => PACE },
    inventory: {} as Inventory,
    fences: {} as Fences,
    jobs: { views: [] },
    startedMs: 0,
    replications: () => [],
  };
  const metrics = new ServerMetrics(ports as unknown as ServerMetricsPorts);
  const lines = (await metrics.text()).toString().split('\n');
  return Object.fromEntries(
    lines.flatMap((line) => {
      const [, name = '', value = ''] = /^rsio_server_(\w*pool\w*\{pool="\w+"(?:,pace="\w+")?\}) (\S+)$/.exec(line) ?? [];
      return name === '' ? [] : [[name, Number(value)]];
    }),
  );
}

test('a pool that another server serves is there; otherwise the present reason is shown, and not that of the last look', () => {
  expect(shown(SHARED, { servedBy: 'big-8', why: 'server big-8 serves it' })).toEqual({ state: 'elsewhere', reason: 'served by big-8' });
  const why = 'it waits for the fence of big-8, generation 4: no answer';
  expect(shown(SHARED, { servedBy: null, why })).toEqual({ state: 'unavailable', reason: why });
  expect(shown({ ...SHARED, trouble: null }, { servedBy: null, why })).toEqual({ state: 'unavailable', reason: why });
  expect(shown({ ...SHARED, trouble: 'EIO' }, null)).toEqual({ state: 'unavailable', reason: 'EIO' });
  expect(shown({ ...SHARED, trouble: null }, null)).toEqual({ state: 'ready', reason: null });
});

test('only a shared pool that this server does not own is away', () => {
  const farms = new Farms({
    server: () => 'big-9',
    log: { error: () => undefined },
    partsOf: () => {
      throw new Error('no such engine');
    },
  } as unknown as ConstructorParameters<typeof Farms>[0]);
  expect([farms.away(PRIVATE), farms.away(SHARED)]).toEqual([null, { servedBy: null, why: STALE }]);
  farms.follow([{ ...CONFIG, shared: DISK }]);
  expect(farms.away(SHARED)).toEqual({ servedBy: null, why: 'no such engine' });
});

test('the metrics of a server that does not own the pool say that, and nothing about its file system', async () => {
  const record = { ...RECORD, writers: [{ generation: 3, server: 'big-9', client: 'c-3' }] };
  const shared = {
    status: {
      standing: 'watching' as const,
      sight: { record, notes: new Map() },
      servedBy: null,
      refusal: null,
      why: '',
      ownership: null,
    },
    silentMs: () => 1_500,
    counts: { forcedTakes: 2, movesAway: 5 },
  } satisfies Partial<SharedPool>;
  expect(await metricsWith({ servedBy: 'big-8', why: '' }, shared)).toEqual({
    'shared_pool_served{pool="fast"}': 0,
    'shared_pool_generation{pool="fast"}': 4,
    'shared_pool_owner_silent_seconds{pool="fast"}': 1.5,
    'shared_pool_unfenced_owners{pool="fast"}': 1,
    'shared_pool_forced_takes_total{pool="fast"}': 2,
    'shared_pool_moves_away_total{pool="fast"}': 5,
    ...poolFigures('ssd'),
  });
});

test('the owner shows both; without a record, or without an owner, what is not known is absent', async () => {
  const counts = { forcedTakes: 0, movesAway: 0 };
  const own = {
    standing: 'owned',
    sight: { record: RECORD, notes: new Map() },
    servedBy: null,
    refusal: null,
    why: '',
    ownership: { generation: 4, life: 3 },
  } as const;
  expect(await metricsWith(null, { status: own, silentMs: () => 0, counts })).toMatchObject({
    'shared_pool_served{pool="fast"}': 1,
    ...poolFigures('fast'),
  });
  const away = { servedBy: null, why: STALE };
  const unread = { standing: 'watching', sight: null, servedBy: null, refusal: null, why: '', ownership: null } as const;
  const names = async (status: SharedPool['status']): Promise<string[]> =>
    Object.keys(await metricsWith(away, { status, silentMs: () => 0, counts })).filter((name) => name.startsWith('shared_pool'));
  expect(await names(unread)).toEqual([
    'shared_pool_served{pool="fast"}',
    'shared_pool_forced_takes_total{pool="fast"}',
    'shared_pool_moves_away_total{pool="fast"}',
  ]);
  const free = { ...RECORD, state: 'free', owner: null } as const;
  expect(await names({ ...unread, sight: { record: free, notes: new Map() } })).not.toContain(
    'shared_pool_owner_silent_seconds{pool="fast"}',
  );
});

function poolFigures(name: string): Record<string, number> {
  const figures = ['ready', 'short', 'promised_bytes', 'volumes', 'removed_volumes'];
  const full = { [`pool_full_in_seconds{pool="${name}",pace="7d"}`]: WEEK_MS / 1_000 };
  return { ...Object.fromEntries(figures.map((figure) => [`pool_${figure}{pool="${name}"}`, 0])), ...full };
}
