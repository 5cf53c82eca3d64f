// Tests the ledgers of pools: what the next server of a pool knows about holders, replaced instances and fenced clients, and what happens
// to a pool whose ledger is missing or that only an earlier release has used. Each server of a test has its own state directory.
// Invariants: the next server of a pool knows everything that an earlier server has answered; the holders of a served volume are always
// known. Rules: H1, H4.

import fs from 'node:fs';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { needPrograms } from '@rsio/base/testing/needs';
import { unsealed } from '@rsio/base/testing/unsealed';
import { TAKE } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { beforeEach, expect, test, vi } from 'vitest';
import { takeLocks } from '../../storage/locks/file-locks.ts';
import type { PoolId } from '../../pools/disk/ids.ts';
import { PoolFiles } from '../../pools/disk/pool-files.ts';
import { replaceLedger } from '../../pools/disk/ledger-space.ts';
import { makePool } from '../../pools/make-pool.ts';
import { Pools } from '../../pools/pools.ts';
import { BIG2, OPEN, VENUS, VOLUME } from '../../testing/contenders.ts';
import { unhinderedPorts } from '../../testing/grant-ports.ts';
import { DB, directory, open as openScene, usePoolDirectory } from '../../testing/pool-directory.ts';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { Fences } from '../fences.ts';
import type { ClientIdentity } from './grants.ts';
import { Holds } from './holds.ts';
import { Ledgers } from './ledgers.ts';
import { OwnedLedgers } from './owned-ledgers.ts';

usePoolDirectory();

let volumeId = '';
let poolId = '';
const servers: Server[] = [];
const stop = new Error('stopped');

/** A server with its own state directory. Its run has the name of the server, unless another run is given. */
class Server {
  readonly logged: string[] = [];
  readonly begun: string[] = [];
  readonly came: string[] = [];
  readonly counts = new Map<string, number>();
  readonly holds: Holds;
  readonly fences: Fences;
  readonly owned: OwnedLedgers;
  readonly ledgers: Ledgers;
  readonly pools: Pools;
  private readonly isOwnPool: boolean;

  constructor(name: string, { run = name, isOwnPool = false, stopAt = '' } = {}) {
    this.isOwnPool = isOwnPool;
    const state = path.join(directory, `state-${name}`);
    fs.mkdirSync(state, { recursive: true });
    const write = (text: string): void => void this.logged.push(text);
    const log = { info: write, warn: write, error: write };
    this.owned = new OwnedLedgers(log, (id, work) => this.pools.onLedger(id, work));
    this.holds = new Holds(path.join(state, 'holders.json'), () => 1, log, this.owned);
    this.fences = new Fences(new FakeClock(), path.join(state, 'fences.json'), this.holds, () => this.owned.saveFences());
    this.ledgers = new Ledgers({
      log,
      holds: this.holds,
      fences: this.fences,
      owned: this.owned,
      owner: () => run,
      begin: async (ids) => void this.begun.push(...ids),
      countOf: (id) => this.counts.get(id) ?? 0,
      adoptCounts: (counts) => Object.entries(counts).forEach(([id, count]) => this.counts.set(id, count)),
      areRemembered: () => this.isOwnPool,
      came: (fenced) => void this.came.push(...fenced),
    });
    this.pools = new Pools({
      ownershipOf: () => null,
      storageFailed: () => undefined,
      clock: systemClock,
      log,
      takeLocks,
      ledgers: this.ledgers,
      allocate: async () => undefined,
      answersAgain: () => undefined,
      changed: () => undefined,
      reached: (step) => {
        if (step === stopAt) throw stop;
      },
    });
    servers.push(this);
  }

  async start(names = ['fast']): Promise<this> {
    await this.holds.load();
    await this.fences.load();
    const configs = names.map((name) => ({
      name,
      path: path.join(directory, name),
      limitBytes: null,
      reserve: 0,
      overcommit: 'warn' as const,
      shared: null,
      line: 1,
    }));
    const change = await this.pools.prepare(configs);
    await change.own();
    await change.commit();
    return this;
  }

  get trouble(): string | null {
    return this.pools.states[0]?.trouble ?? null;
  }

  grant(client: ClientIdentity, changes: Partial<typeof OPEN> = {}, incarnation = 'one') {
    const volume = { ...VOLUME, id: volumeId, pool: { ids: [poolId], isThick: false } };
    return this.holds.grant(volumeId, client, { ...OPEN, ...changes }, { ...unhinderedPorts(volume), incarnation: () => incarnation });
  }
}

const ledgerFile = (pool = 'fast'): string => path.join(directory, pool, 'ledger.json');
const ledger = (pool = 'fast') => JSON.parse(fs.readFileSync(ledgerFile(pool), 'utf8')).content;
const poolFile = (): string => path.join(directory, 'fast/pool.json');
/** Turns the pool into one that only an earlier release has used. */
function withoutLedger(): void {
  fs.rmSync(ledgerFile());
  fs.writeFileSync(poolFile(), unsealed(fs.readFileSync(poolFile(), 'utf8')).replace('"version": 2', '"version": 1'));
}

beforeEach((context) => needPrograms(context, 'flock'));
beforeEach(async () => {
  const scene = await openScene();
  const { pool, manifest } = await scene.create();
  [volumeId, poolId] = [manifest.id, pool.identity!.id];
  await scene.pools.close();
  servers.length = 0;
  return async () => {
    for (const { pools } of servers) await pools.close();
  };
});

test('the next server knows the holder: others are refused, the holder resumes and is not settled', async () => {
  const one = await new Server('one').start();
  const first = await one.grant(BIG2);
  expect(Object.keys(ledger().volumes)).toEqual([volumeId]);
  expect(fs.existsSync(path.join(directory, 'state-one/holders.json'))).toBe(false);
  await one.pools.close();

  const two = await new Server('two').start();
  expect([two.begun, ledger().owner, ledger().generation]).toEqual([[volumeId], 'two', 2]);
  expect(await two.grant(VENUS, {}, 'two')).toMatchObject({ granted: false, status: STATUS.HELD });
  const take = await two.grant(VENUS, { take: TAKE.OVER }, 'two');
  expect(take.granted ? '' : take.sentence).toMatch(/has not yet recovered the writes/);
  const resume = first.granted ? first.identity : '';
  expect(await two.grant(BIG2, { resume }, 'two')).toMatchObject({ granted: true, identity: resume, incarnation: 'two' });
  expect(two.holds.unsettledNode(volumeId, 'two')).toBe('big-2');
  await two.holds.settle(volumeId, BIG2, 9, 'two');
  await two.pools.close();

  // The pool returns to the first server, which knew the holder under another incarnation.
  const back = await new Server('one').start();
  expect([back.begun, ledger().generation]).toEqual([[volumeId], 3]);
  expect(back.holds.unsettledNode(volumeId, 'two')).toBeNull();
});

test('a release and a later hold at the next server are what the first one finds, not its own memory', async () => {
  const one = await new Server('one').start();
  await one.grant(BIG2);
  await one.pools.close();
  const two = await new Server('two').start();
  await two.holds.release(volumeId, BIG2, 9);
  const hers = await two.grant(VENUS);
  await two.pools.close();
  const back = await new Server('one').start();
  expect(back.holds.holdersOf(volumeId).map(({ node }) => node)).toEqual(['venus']);
  expect(hers.granted && back.holds.epochOf(volumeId) === hers.epoch).toBe(true);
});

test('the same run that opens the pool again stays the owner, and begins no incarnation', async () => {
  const one = await new Server('one').start();
  await one.grant(BIG2);
  await one.pools.close();
  const again = await new Server('one').start();
  expect([again.begun, ledger().generation]).toEqual([[], 1]);
  const boot = await (await again.pools.close(), new Server('one', { run: 'later boot' })).start();
  expect([boot.begun, ledger().generation]).toEqual([[volumeId], 2]);
});

test('a replaced instance, and a fenced client, are not let in by the next server', async () => {
  const one = await new Server('one').start();
  await one.grant(BIG2);
  const later = { ...BIG2, instance: BIG2.instance + 1 };
  await one.holds.noteInstance(later, BIG2);
  await one.grant(later);
  await one.fences.set('venus', null);
  await one.fences.saveInPools();
  await one.pools.close();
  const two = await new Server('two').start();
  expect([two.holds.isCurrent(BIG2), two.holds.isCurrent(later)]).toEqual([false, true]);
  // Even a session that began before the pool was opened gets no grant.
  expect(await two.grant(BIG2)).toMatchObject({ granted: false, status: STATUS.TAKEN });
  expect(two.fences.names).toEqual(['venus']);
  expect(two.logged.join()).toContain('Client venus is fenced, because the last server of a pool has fenced it');
  expect(two.came).toEqual(['venus']);
  await two.fences.lift('venus');
  await two.fences.saveInPools();
  await two.pools.close();
  expect((await new Server('three').start()).fences.names).toEqual([]);
});

test('the fences of the earlier server outlive a reload that was refused after this server became the owner', async () => {
  const one = await new Server('one').start();
  await one.fences.set('venus', null);
  await one.fences.saveInPools();
  await one.pools.close();
  const two = new Server('two');
  const configs = [
    { name: 'fast', path: path.join(directory, 'fast'), limitBytes: null, reserve: 0, overcommit: 'warn' as const, shared: null, line: 1 },
  ];
  const refused = await two.pools.prepare(configs);
  await refused.own();
  await refused.undo();
  expect(two.fences.names).toEqual([]);
  const again = await two.pools.prepare(configs);
  await again.own();
  again.enter();
  expect([two.fences.names, two.came, Object.keys(ledger().fences)]).toEqual([['venus'], ['venus'], ['venus']]);
  await again.commit();
});

test.each([
  ['missing', () => fs.rmSync(ledgerFile()), /its ledger\.json is gone, so that nobody knows who holds its volumes: restore it/],
  ['damaged', () => fs.writeFileSync(ledgerFile(), '{'), /ledger\.json cannot be used: it is not JSON: restore it/],
  [
    'that of another pool',
    () => fs.writeFileSync(ledgerFile(), unsealed(fs.readFileSync(ledgerFile(), 'utf8')).replace(poolId, poolId.replace(/^0/, '1'))),
    /its ledger\.json is that of pool id 1/,
  ],
])('a pool whose ledger is %s is not served, and its ledger stays as it is', async (_, damage, trouble) => {
  const one = await new Server('one').start();
  await one.grant(BIG2);
  await one.pools.close();
  damage();
  const before = fs.existsSync(ledgerFile()) ? fs.readFileSync(ledgerFile(), 'utf8') : null;
  const two = await new Server('two', { isOwnPool: true }).start();
  expect(two.trouble).toMatch(trouble);
  expect(fs.existsSync(ledgerFile()) ? fs.readFileSync(ledgerFile(), 'utf8') : null).toBe(before);
});

test.each([
  ['gone', () => fs.rmSync(ledgerFile())],
  ['empty', () => fs.truncateSync(ledgerFile())],
  ['zeros', () => fs.writeFileSync(ledgerFile(), Buffer.alloc(fs.statSync(ledgerFile()).size))],
  ['cut', () => fs.truncateSync(ledgerFile(), 100)],
])('a ledger that is %s can be replaced if nobody holds a volume any more, and only with that word', async (_, damage) => {
  const one = await new Server('one').start();
  const { granted: before } = await one.grant(BIG2);
  const held = one.holds.holdersOf(volumeId);
  await one.pools.close();
  damage();
  const text = (): string => (fs.existsSync(ledgerFile()) ? fs.readFileSync(ledgerFile(), 'utf8') : '');
  const damaged = text();
  await makePool(path.join(directory, 'fast'), 1e6, [], false);
  expect(text()).toBe(damaged);
  const two = await new Server('two').start();
  expect(two.trouble).toMatch(/every client that held one has ended: rsadm pool add NAME PATH --no-holders/);
  await two.pools.close();
  await makePool(path.join(directory, 'fast'), 1e6, [], true);
  const then = await new Server('two').start();
  expect([then.trouble, then.holds.holdersOf(volumeId)]).toEqual([null, []]);
  expect(then.begun, 'writes of the last holder may be lost').toEqual([volumeId]);
  expect([before, held.length, (await then.grant(VENUS)).granted]).toEqual([true, 1, true]);
});

test.each([
  ['is empty', () => ''],
  ['is empty', () => Buffer.alloc(200)],
  ['is damaged \\(its checksum is wrong\\)', (text: string) => text.replace('"createdMs": ', '"createdMs": 1')],
  ['is damaged \\(its checksum is wrong\\)', (text: string) => text.slice(0, 60)],
])('a pool.json that %s is written again with the id in the ledger, whose holders stay', async (what, damage) => {
  const one = await new Server('one').start();
  await one.grant(BIG2);
  await one.pools.close();
  const { ino } = fs.statSync(poolFile());
  fs.writeFileSync(poolFile(), damage(fs.readFileSync(poolFile(), 'utf8')));
  const two = await new Server('two').start();
  expect(two.trouble).toMatch(new RegExp(`pool\\.json ${what}: rsadm pool add NAME .*fast writes it again`));
  await two.pools.close();
  expect(await makePool(path.join(directory, 'fast'), 0, [], false)).toEqual({ isNew: false, volumes: 1 });
  const then = await new Server('two').start();
  expect([then.trouble, then.pools.states[0]?.identity?.id, fs.statSync(poolFile()).ino]).toEqual([null, poolId, ino]);
  expect(then.holds.holdersOf(volumeId)).toHaveLength(1);
});

test('if pool.json and the ledger are empty, the id is in the ledger before, which needs the word that nobody holds a volume', async () => {
  const one = await new Server('one').start();
  await one.grant(BIG2);
  await one.pools.close();
  fs.truncateSync(poolFile());
  fs.truncateSync(ledgerFile());
  const fast = path.join(directory, 'fast');
  await expect(makePool(fast, 0, [], false)).rejects.toThrow(/has the id of the pool: restore both .*, add --no-holders$/);
  const other = { name: 'other', path: '/other', identity: { id: poolId as never, createdMs: 0 } };
  await expect(makePool(fast, 0, [other], true)).rejects.toThrow(/already is pool other/);
  expect(fs.statSync(poolFile()).size).toBe(0);
  await makePool(fast, 1e6, [], true);
  const then = await new Server('two').start();
  expect([then.trouble, then.pools.states[0]?.identity?.id]).toEqual([null, poolId]);
});

test('a hold that cannot be saved in the pool is not granted', async () => {
  const one = await new Server('one').start();
  fs.rmSync(ledgerFile());
  fs.mkdirSync(path.join(ledgerFile(), 'in the way'), { recursive: true });
  await expect(one.grant(BIG2)).rejects.toThrow(/ledger\.json cannot be written/);
  expect(one.holds.holdersOf(volumeId)).toEqual([]);
});

/** Runs a server of an earlier release, on which big-2 holds the volume. The pool then has no ledger. */
async function earlierRelease(): Promise<void> {
  withoutLedger();
  const old = new Server('one');
  const volume = { ...VOLUME, id: volumeId };
  await old.holds.grant(volumeId, BIG2, OPEN, unhinderedPorts(volume));
}

test.each(['', 'ledger: replaced', 'ledger: marked'])(
  'the holders of an earlier release come into the ledger once, also after a stop at %j',
  async (stopAt) => {
    await earlierRelease();
    const inode = fs.statSync(poolFile()).ino;
    const old = fs.readFileSync(poolFile(), 'utf8');
    if (stopAt !== '') {
      const stopped = await new Server('one', { stopAt }).start();
      expect(stopped.trouble).toMatch(/stopped/);
      // A login saves holders.json, which must still have the holders of the pool.
      await stopped.holds.noteInstance({ ...BIG2, node: 'mars' }, null);
    }
    const one = await new Server('one', { run: 'second try' }).start();
    expect([one.trouble, one.holds.holdersOf(volumeId).map(({ node }) => node)]).toEqual([null, ['big-2']]);
    expect(fs.statSync(poolFile()).ino).toBe(inode);
    // One byte differs, so that a power cut leaves either text.
    expect(fs.readFileSync(poolFile(), 'utf8')).toBe(old.replace('"version": 1', '"version": 2'));
    await one.holds.release(volumeId, BIG2, 9);
    await one.pools.close();
    // The holder in the state directory, if it is still there, no longer counts.
    expect((await new Server('one').start()).holds.holdersOf(volumeId)).toEqual([]);
  },
);

test('a pool that another server has used with an earlier release is not served until nobody holds its volumes', async () => {
  withoutLedger();
  const two = await new Server('two').start();
  expect(two.trouble).toMatch(/this server does not know who holds its volumes: .*rsadm pool add fast .*fast --no-holders$/);
  expect(fs.existsSync(ledgerFile())).toBe(false);
  await two.pools.close();
  expect(await makePool(path.join(directory, 'fast'), 0, [], false)).toEqual({ isNew: false, volumes: 1 });
  expect((await new Server('two').start()).trouble).not.toBeNull();
  await makePool(path.join(directory, 'fast'), 0, [], true);
  const then = await new Server('three').start();
  expect([then.trouble, (await then.grant(VENUS)).granted]).toEqual([null, true]);
  // A pool with a ledger keeps its holders, even with `--no-holders`.
  await then.pools.close();
  await makePool(path.join(directory, 'fast'), 0, [], true);
  expect((await new Server('four').start()).holds.holdersOf(volumeId)).toHaveLength(1);
});

test('a pool that this server has used with an earlier release is its own, although nobody held its volumes', async () => {
  withoutLedger();
  const one = await new Server('one', { isOwnPool: true }).start();
  expect([one.trouble, ledger()]).toEqual([null, { poolId, generation: 1, owner: 'one', volumes: {}, nodes: {}, fences: {} }]);
});

test('a volume that changes its pool takes its holders along, before it is there', async () => {
  fs.mkdirSync(path.join(directory, 'slow'));
  const slow = '00000000-0000-4000-8000-00000000000f';
  await new PoolFiles(path.join(directory, 'slow'), { allocate: async () => undefined }).makePool({ id: slow, createdMs: 0 });
  const one = await new Server('one').start(['fast', 'slow']);
  await one.grant(BIG2);
  const held = (pool: string): string[] => Object.keys(ledger(pool).volumes);

  const fails = one.pools.carry(volumeId, [], slow, () => {
    expect(held('slow')).toEqual([volumeId]);
    return Promise.reject(new Error('no room'));
  });
  await expect(fails).rejects.toThrow('no room');
  await one.holds.settle(volumeId, BIG2, 9, 'later');
  await one.owned.save(slow);
  expect([held('fast'), held('slow')]).toEqual([[volumeId], []]);

  await one.pools.carry(volumeId, [], slow, async () => {
    // A change during the step is in both pools, because either may have the volume after a stop.
    await one.holds.settle(volumeId, BIG2, 9, 'latest');
    expect([ledger('fast'), ledger('slow')].map(({ volumes }) => volumes[volumeId].holds[0].life)).toEqual(['latest', 'latest']);
  });
  await one.holds.release(volumeId, BIG2, 9);
  await one.owned.save(poolId);
  expect([held('fast'), held('slow')]).toEqual([[], [volumeId]]);
  expect(ledger('slow').volumes[volumeId].holds).toEqual([]);
});

test('a hold stays while the pool lacks its volume, and what nobody holds is forgotten with its volume', async () => {
  const one = await new Server('one').start();
  await one.grant(BIG2);
  await one.pools.close();
  const scene = await openScene();
  await scene.verbs.remove(DB, LOCAL_ASKER, null);
  await scene.verbs.purgeRemoved({ volume: null, id: null, olderMs: 0 }, LOCAL_ASKER);
  await scene.pools.close();
  const two = await new Server('two').start();
  expect(two.holds.holdersOf(volumeId)).toHaveLength(1);
  await two.holds.release(volumeId, BIG2, 9);
  await two.pools.close();
  const three = await new Server('three').start();
  expect([three.holds.epochOf(volumeId), ledger().volumes]).toEqual([0, {}]);
});

test('a copy of a pool in use is refused, and its ledger counts for nothing', async () => {
  const one = await new Server('one').start();
  fs.cpSync(path.join(directory, 'fast'), path.join(directory, 'copy'), { recursive: true });
  const before = fs.readFileSync(ledgerFile('copy'), 'utf8');
  await one.grant(BIG2);
  const configs = ['fast', 'copy'].map((name) => ({
    name,
    path: path.join(directory, name),
    limitBytes: null,
    reserve: 0,
    overcommit: 'warn' as const,
    shared: null,
    line: 1,
  }));
  const change = await one.pools.prepare(configs);
  await change.own();
  await change.commit();
  expect(one.pools.states[1]?.trouble).toMatch(/has the id of the pool at .*fast, of which it is a copy/);
  expect(one.holds.holdersOf(volumeId)).toHaveLength(1);
  await one.holds.settle(volumeId, BIG2, 9, 'later');
  expect(ledger().volumes[volumeId].holds[0].life).toBe('later');
  expect(fs.readFileSync(ledgerFile('copy'), 'utf8')).toBe(before);
  // The copy is also refused in the reload that removes the original pool.
  const other = await one.pools.prepare([configs[1]!]);
  await other.own();
  expect(other.states[0]?.trouble).toMatch(/of which it is a copy/);
  await other.undo();
  expect(one.holds.holdersOf(volumeId)).toHaveLength(1);
  await one.holds.settle(volumeId, BIG2, 9, 'latest');
});

test('this server forgets the holders of a shared pool when it gives up the ledger in force, and no other holders', async () => {
  const one = await new Server('one').start();
  await one.grant(BIG2);
  const own = async (isShared: boolean): Promise<PoolFiles> => {
    const files = new PoolFiles(path.join(directory, 'fast'), { allocate: async () => undefined });
    const state = { ...one.pools.states[0]!, isShared };
    await one.ledgers.read(files, { id: poolId as PoolId, createdMs: 0, hasLedger: true }, state);
    await one.ledgers.own(files, state);
    return files;
  };
  const [former, shared] = [await own(true), await own(true)];
  const holdersWithout = (files: PoolFiles): number => {
    one.ledgers.left(files);
    return one.holds.holdersOf(volumeId).length;
  };
  expect([holdersWithout(former), holdersWithout(await own(false))]).toEqual([1, 1]);
  expect(holdersWithout(shared), 'it was replaced meanwhile').toBe(1);
  expect(holdersWithout(await own(true))).toBe(0);
});

test('a configuration that is only checked changes no pool', async () => {
  const before = fs.readFileSync(ledgerFile(), 'utf8');
  const one = new Server('one');
  const change = await one.pools.prepare([
    { name: 'fast', path: path.join(directory, 'fast'), limitBytes: null, reserve: 0, overcommit: 'warn' as const, shared: null, line: 1 },
  ]);
  expect(change.states[0]?.trouble).toBeNull();
  await change.undo();
  expect([fs.readFileSync(ledgerFile(), 'utf8'), one.begun]).toEqual([before, []]);
});

test('of two pools that name a volume, the one that has it counts, then the later epoch, in either order; no epoch falls', async () => {
  const hold = (node: string, epoch: number) => ({ ...BIG2, node, sinceMs: 1, readonly: false, epoch, life: 'one' });
  const early = { volumes: { v: { epoch: 5, holds: [hold('early', 5)], taken: null } }, nodes: {} };
  const late = { volumes: { v: { epoch: 20, holds: [hold('late', 20)], taken: null } }, nodes: {} };
  const [here, gone] = [new Set(['v']), new Set<string>()];
  for (const order of ['ab', 'ba'])
    for (const [inA, inB, presentInA, expected] of [
      [early, late, gone, 'late'],
      // A later epoch in the ledger of the other pool comes from a change that was never answered.
      [late, early, gone, 'early'],
      [late, early, here, 'late'],
    ] as const) {
      const { holds } = new Server(`order-${order}`);
      for (const pool of order) holds.adopt(pool, pool === 'a' ? inA : inB, pool === 'a' ? presentInA : here, true);
      expect([holds.epochOf('v'), holds.holdersOf('v').map(({ node }) => node)]).toEqual([20, [expected]]);
      const home = presentInA === here ? 'a' : 'b';
      expect(['a', 'b'].filter((pool) => 'v' in holds.inLedger(pool).volumes)).toEqual([home]);
      // The pool is opened again with older content, for example from a backup, and then with a ledger that does not name the volume.
      holds.adopt(home, early, here, true);
      expect([holds.epochOf('v'), holds.holdersOf('v').map(({ node }) => node)]).toEqual([20, ['early']]);
      holds.adopt(home, { volumes: {}, nodes: {} }, here, true);
      expect([holds.epochOf('v'), holds.holdersOf('v')]).toEqual([20, []]);
    }
});

test('after an unclear move, the new pool that comes without the volume takes no hold away', async () => {
  const one = await new Server('one').start();
  await one.grant(BIG2);
  const lost = one.holds.carry(
    [volumeId],
    poolId,
    () => Promise.reject(new Error('no answer')),
    () => true,
  );
  await expect(lost).rejects.toThrow('no answer');
  await expect(
    one.holds.carry(
      [volumeId],
      'elsewhere',
      () => Promise.resolve(),
      () => true,
    ),
  ).rejects.toThrow(/elsewhere is not open/);
  one.holds.adopt('elsewhere', { volumes: {}, nodes: {} }, new Set(), true);
  expect(one.holds.holdersOf(volumeId)).toHaveLength(1);
  await one.holds.settle(volumeId, BIG2, 9, 'later');
  expect(ledger().volumes[volumeId].holds[0].life).toBe('later');
});

test('a ledger whose last save has failed is saved before the next grant is answered, and when its pool answers again', async () => {
  const one = await new Server('one').start();
  const mine = await one.grant(BIG2);
  const save = vi.spyOn(PoolFiles.prototype, 'replaceLedger').mockRejectedValue(Object.assign(new Error('slow'), { code: 'EIO' }));
  await expect(one.grant(VENUS, { take: TAKE.OVER })).rejects.toThrow(/EIO/);
  const resume = { resume: mine.granted ? mine.identity : '' };
  await expect(one.grant(BIG2, resume)).rejects.toThrow(/EIO/);
  save.mockRestore();
  // The failed save may have changed the file. In this test, the file names venus afterwards.
  fs.writeFileSync(ledgerFile(), fs.readFileSync(ledgerFile(), 'utf8').replaceAll('big-2', 'venus'));
  await one.grant(BIG2, resume);
  expect(ledger().volumes[volumeId].holds[0].node).toBe('big-2');
  fs.writeFileSync(ledgerFile(), fs.readFileSync(ledgerFile(), 'utf8').replaceAll('big-2', 'venus'));
  await one.owned.saveDirty();
  expect(ledger().volumes[volumeId].holds[0].node, 'it was not dirty any more').toBe('venus');
  // Of two saves, the first succeeds and the second fails.
  let saves = 0;
  const second = vi.spyOn(PoolFiles.prototype, 'replaceLedger').mockImplementation(function (this: PoolFiles, text) {
    return saves++ === 0 ? replaceLedger(this.directory, text) : Promise.reject(Object.assign(new Error('slow'), { code: 'EIO' }));
  });
  const settled = one.holds.settle(volumeId, BIG2, 9, 'later');
  await expect(Promise.all([settled, one.owned.save(poolId)])).rejects.toThrow(/EIO/);
  second.mockRestore();
  expect(one.owned.isDirty(poolId)).toBe(true);
  // Of two saves, the first fails. The second begins before the change of the first is undone, and therefore contains this change.
  let others = 0;
  let fail: (thrown: Error) => void = () => undefined;
  const first = vi.spyOn(PoolFiles.prototype, 'replaceLedger').mockImplementation(function (this: PoolFiles, text) {
    return others++ > 0 ? replaceLedger(this.directory, text) : new Promise((_, reject) => (fail = reject));
  });
  const taken = one.grant(VENUS, { take: TAKE.FORCE }).catch((thrown: unknown) => thrown);
  await vi.waitFor(() => expect(others).toBe(1));
  const next = one.owned.save(poolId);
  fail(Object.assign(new Error('slow'), { code: 'EIO' }));
  await next;
  expect(String(await taken)).toMatch(/EIO/);
  first.mockRestore();
  expect([one.holds.holdersOf(volumeId).map(({ node }) => node), one.owned.isDirty(poolId)]).toEqual([['big-2'], true]);
});

test('a pool gets the fences and the notes of its server before it is served', async () => {
  await earlierRelease();
  const one = new Server('one');
  await one.holds.load();
  await one.holds.noteInstance({ ...BIG2, node: 'mars' }, null);
  await one.fences.set('venus', null);
  await one.start();
  expect([Object.keys(ledger().fences), Object.keys(ledger().nodes)]).toEqual([['venus'], ['mars']]);
});

test('a snapshot that nobody reads any more is not held because an old file of holders says so', async () => {
  const one = await new Server('one').start();
  const reader = { ...VOLUME, id: 'snapshot', readonly: true, snapshotOf: volumeId };
  await one.holds.grant('snapshot', BIG2, { ...OPEN, readonly: true }, unhinderedPorts(reader));
  expect(one.holds.holdersOf('snapshot')).toHaveLength(1);
  one.holds.adopt(
    poolId,
    { volumes: { snapshot: { epoch: 3, holds: [], taken: null, isSnapshot: true } }, nodes: {} },
    new Set(['snapshot']),
    true,
  );
  expect(one.holds.holdersOf('snapshot')).toEqual([]);
});
