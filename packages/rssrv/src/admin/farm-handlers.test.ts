// Tests the methods about shared pools: the view of a pool in each state of its record, and the refusals of farm-make before it accesses a
// disk. farm/shared-pool.test.ts tests the moves.

import type { PoolConfig } from '@rsio/common/config/schema/types';
import { SHARED_POOL, type SharedPoolView } from '@rsio/api/views/views';
import { misfit } from '@rsio/base/lib/shape';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Sight } from '../farm/engine.ts';
import type { FarmRecord } from '../farm/farm-record.ts';
import type { Farms } from '../farm/farms.ts';
import type { SharedPool } from '../farm/shared-pool.ts';
import type { SharedPoolStatus } from '../farm/shared-pool-ports.ts';
import type { Pools } from '../pools/pools.ts';
import { farmHandlers } from './farm-handlers.ts';

type Handlers = ReturnType<typeof farmHandlers>;

const RECORD: FarmRecord = {
  version: 9,
  generation: 4,
  state: 'serving',
  owner: { generation: 4, server: 'big-8', client: 'c-4' },
  writers: [],
  life: 3,
  next: null,
  owners: ['big-9', 'big-8', 'big-7'],
  sinceMs: 1_000,
};

let status: SharedPoolStatus;
let there: readonly string[];
let moved: string[];
let made: PoolConfig[];
let closed: number;
let makingAt: Set<string>;
let takeOverMs: number | null;
let totalBytes: number;

const pool = {
  name: 'fast',
  settings: {
    disk: { kind: 'rbd', pool: 'rsio', image: 'fast' },
    fence: { kind: 'command', program: '/bin/f', words: ['-p', '1'] },
    fencesSelf: false,
    owners: RECORD.owners,
    get takeOverMs() {
      return takeOverMs;
    },
  },
  grow: async () => (totalBytes = 2_000),
  giveUpToNone: async () => void moved.push('none'),
  get status() {
    return status;
  },
  isThere: (server: string) => there.includes(server),
  silentMs: (server: string) => (server === 'big-8' ? 400 : 60_000),
} as Partial<SharedPool> as SharedPool;

function handlers(server = 'big-9', clock = new FakeClock()): Handlers {
  const farms = {
    list: [pool],
    find: () => pool,
    move: async (_: string, to: string) => void moved.push(to),
    partsOf: (config: PoolConfig) => {
      made.push(config);
      const engine = {
        prepare: async () => undefined,
        look: () => Promise.reject(new Error('no storage')),
        close: async () => void closed++,
      };
      return { engine, mount: {} };
    },
  } as unknown as Farms;
  let measured = 0;
  const pools = {
    makingAt,
    measure: async () => void (measured = totalBytes),
    get states() {
      return [{ name: 'fast', space: { totalBytes: measured } }];
    },
  } as unknown as Pools;
  return farmHandlers(clock, farms, pools, server);
}

function shown(changes: Partial<FarmRecord> | null, server = 'big-9', more: Partial<SharedPoolStatus> = {}): SharedPoolView {
  const sight: Sight | null = changes === null ? null : { record: { ...RECORD, ...changes }, notes: new Map() };
  status = { standing: 'watching', sight, servedBy: 'big-8', why: 'the reason', ownership: null, refusal: null, ...more };
  return (handlers(server)['farm-show']({}) as { readonly pools: readonly SharedPoolView[] }).pools[0]!;
}

beforeEach(() => {
  [there, moved, made, closed, makingAt] = [['big-8'], [], [], 0, new Set()];
  [takeOverMs, totalBytes] = [10_000, 1_000];
});

describe('the view', () => {
  test('before the first look', () => {
    expect(shown(null)).toEqual({
      name: 'fast',
      disk: 'rbd:rsio/fast',
      fence: 'command:/bin/f -p 1',
      state: 'unknown',
      owner: null,
      isHere: false,
      standing: 'watching',
      generation: 0,
      sinceMs: null,
      heartbeatMs: null,
      next: 'big-9',
      takeOverMs: 10_000,
      load: null,
      why: 'the reason',
      owners: [
        { server: 'big-9', isThere: true },
        { server: 'big-8', isThere: true },
        { server: 'big-7', isThere: false },
      ],
      unfenced: [],
    });
  });

  test('of a disk without a record', () => {
    status = {
      standing: 'watching',
      sight: { record: null, notes: new Map() },
      servedBy: null,
      why: 'its disk is not prepared',
      ownership: null,
      refusal: null,
    };
    expect(handlers()['farm-show']({})).toMatchObject({ pools: [{ state: 'unknown', owner: null, generation: 0 }] });
  });

  test('of a free pool', () => {
    expect(shown({ state: 'free', owner: null })).toMatchObject({
      state: 'free',
      owner: null,
      heartbeatMs: null,
      next: 'big-9',
      sinceMs: 1_000,
    });
  });

  test('of a pool that is being taken, with the owners that are not fenced yet', () => {
    const writers = [{ generation: 3, server: 'big-7', client: 'c-3' }];
    expect(shown({ state: 'taking', writers })).toMatchObject({
      state: 'taking',
      owner: 'big-8',
      isHere: false,
      unfenced: [{ server: 'big-7', generation: 3 }],
    });
  });

  test('of a pool that another server serves', () => {
    expect(shown({})).toMatchObject({ state: 'serving', owner: 'big-8', isHere: false, heartbeatMs: 400, next: 'big-9', generation: 4 });
  });

  test('of a pool whose owner was not heard: it is not served, although the last record that was read says so', () => {
    const why = 'Disk /dev/x has not answered within 5 s: check the disk and its paths';
    expect(shown({}, 'big-9', { servedBy: null, why })).toMatchObject({ state: 'interrupted', owner: 'big-8', why });
    expect(shown({}, 'big-8', { servedBy: null, why })).toMatchObject({ state: 'interrupted', isHere: false });
    expect(misfit(SHARED_POOL, shown({}, 'big-9', { servedBy: null }), 'exactly')).toBeNull();
    expect(shown({ state: 'taking' }, 'big-9', { servedBy: null })).toMatchObject({ state: 'taking' });
  });

  test('of a pool that this server serves: the next owner is the first one that is there', () => {
    const ownership = { generation: 4, life: 3 };
    there = ['big-9'];
    expect(shown({}, 'big-8', { ownership, standing: 'owned' })).toMatchObject({ isHere: true, owner: 'big-8', next: 'big-9' });
    there = ['big-7'];
    expect(shown({}, 'big-8', { ownership, standing: 'owned' })).toMatchObject({ next: 'big-7' });
    there = [];
    expect(shown({}, 'big-8', { ownership, standing: 'owned' })).toMatchObject({ next: null });
  });

  test('of a pool that moves by command only: no server is next', () => {
    takeOverMs = null;
    expect(shown({})).toMatchObject({ takeOverMs: null, next: null, owner: 'big-8' });
  });

  test.each([
    [4, 120, 120],
    [3, 120, null],
    [4, undefined, null],
  ])('the load is that of the note of the owner: generation %i, load %s', (generation, load, expected) => {
    const note = { generation, count: 1, wants: null, refusal: null, ...(load === undefined ? {} : { load }) };
    const sight: Sight = { record: RECORD, notes: new Map([['big-8', note]]) };
    expect(shown({}, 'big-9', { sight }).load).toBe(expected);
  });

  test.each([null, {}, { state: 'free', owner: null }, { state: 'taking' }, { state: 'claimed' }, { state: 'making' }] as const)(
    'has the documented shape: %j',
    (changes) => {
      expect(misfit(SHARED_POOL, shown(changes), 'exactly')).toBeNull();
    },
  );
});

test('pool-move moves the pool, and says how long that took', async () => {
  const clock = new FakeClock();
  const answer = handlers('big-9', clock)['pool-move']({ name: 'fast', to: 'big-7' });
  clock.advance(3_200);
  expect(await answer).toEqual({ server: 'big-7', tookMs: 3_200 });
  expect(moved).toEqual(['big-7']);
});

test('pool-grow answers the size before and after, both measured', async () => {
  expect(await handlers()['pool-grow']({ name: 'fast' })).toEqual({ beforeBytes: 1_000, sizeBytes: 2_000 });
});

test('pool-release gives the pool up', async () => {
  await handlers()['pool-release']({ name: 'fast' });
  expect(moved).toEqual(['none']);
});

describe('farm-make', () => {
  const ASKED = { name: 'slow', path: '/srv/slow', disk: '/dev/x', fence: 'reservation', owners: 'big-9, big-8' };
  const make = async (changes: Partial<typeof ASKED>, server?: string) => handlers(server)['farm-make']({ ...ASKED, ...changes });

  test.each([
    [{ owners: 'big-8, big-7' }, 'This server, big-9, is not one of the owners: run the command on an owner'],
    [{ name: 'fast' }, 'Pool fast is a shared pool of this server already'],
    [{ path: '/srv/busy' }, 'A pool is being made at /srv/busy: try again when that has ended'],
    [{ disk: 'sdb' }, 'rbd:POOL/IMAGE, or the absolute path of a device'],
    [{ fence: 'ipmi' }, 'rbd, reservation, none, or command: and the absolute path of a program'],
    [{ owners: 'big-9,,big-8' }, 'names of servers'],
  ])('%j is refused before the disk is reached', async (changes, message) => {
    makingAt.add('/srv/busy');
    await expect(make(changes)).rejects.toThrow(message);
    expect(made).toEqual([]);
    expect([...makingAt]).toEqual(['/srv/busy']);
  });

  test('after a failure, the engine is closed, and the path is free for another attempt', async () => {
    for (let attempt = 1; attempt <= 2; attempt++) {
      await expect(make({})).rejects.toThrow('no storage');
      expect(closed).toBe(attempt);
      expect(makingAt.size).toBe(0);
    }
    expect(made[0]).toMatchObject({
      name: 'slow',
      path: '/srv/slow',
      shared: { disk: { kind: 'device', path: '/dev/x' }, fence: { kind: 'reservation' }, fencesSelf: false, owners: ['big-9', 'big-8'] },
    });
  });
});
