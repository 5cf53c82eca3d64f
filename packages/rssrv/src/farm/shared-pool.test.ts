// Tests taking, serving, giving up and losing a shared pool, with three servers over one storage. Each call is a message that the storage
// executes late. Rules: F1 to F8, F10, F13, F15, G38, G39, H2.

import { toRsError } from '@rsio/base/lib/errors';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { describe, expect, test } from 'vitest';
import { FarmServer, settled, SharedStorage } from '../testing/shared-storage.ts';
import { movePool } from './move-pool.ts';
import { firstRecord, taken } from './farm-record.ts';
import { DISPUTED_MS } from './limits.ts';

const OWNERS = ['big-1', 'big-2', 'big-3'];
const config = {
  disk: { kind: 'device', path: '/dev/x' },
  fence: { kind: 'rbd' },
  fencesSelf: false,
  owners: OWNERS,
  takeOverMs: 10_000,
} as const;

interface World {
  readonly storage: SharedStorage;
  readonly servers: readonly FarmServer[];
}

function newWorld(seed = 1, fence: 'rbd' | 'none' = 'rbd'): World {
  const storage = new SharedStorage(firstRecord(OWNERS, 0), new SeededRandom(seed));
  const servers = OWNERS.map((name) => new FarmServer(name, storage, { ...config, fence: { kind: fence } }));
  for (const { pool } of servers) void pool.start();
  return { storage, servers };
}

/** Lets time pass for all running servers, and lets the storage execute its pending calls. */
async function pass({ storage, servers }: World, ms: number, stepMs = 100): Promise<void> {
  for (let left = ms; left > 0; left -= stepMs) {
    for (const server of servers) if (server.isAlive && !server.isStopped) server.clock.advance(stepMs);
    await settled();
    for (let calls = 0; calls < 12; calls++) await storage.stir();
  }
}

function serving({ servers }: World): string[] {
  return servers.filter(({ isServing, isAlive }) => isServing && isAlive).map(({ name }) => name);
}

async function moved(world: World, from: FarmServer, to: string): Promise<void> {
  let isOver = false;
  const move = movePool(from.pool, from.name, to, from.clock).finally(() => {
    isOver = true;
  });
  move.catch(() => undefined);
  for (let turn = 0; turn < 300 && !isOver; turn++) await pass(world, 500);
  await move;
}

test('the preferred owner takes a free pool', async () => {
  const world = newWorld();
  await pass(world, 8_000);
  expect(serving(world)).toEqual(['big-1']);
  expect(world.storage.record).toMatchObject({ generation: 1, state: 'serving', life: 0, writers: [] });
});

test('an owner that is silent loses the pool to the next one, which fences it first, in a new life', async () => {
  const world = newWorld();
  await pass(world, 8_000);
  world.servers[0]!.kill();
  await pass(world, 9_000);
  expect(world.storage.record?.generation).toBe(1);
  await pass(world, 6_000);
  expect(serving(world)).toEqual(['big-2']);
  expect(world.storage.record).toMatchObject({ generation: 2, state: 'serving', life: 2, writers: [] });
  expect([...world.storage.fenced]).toEqual(['client-0']);
  expect(world.servers.slice(1).map(({ pool }) => pool.counts)).toEqual([
    { forcedTakes: 1, movesAway: 0 },
    { forcedTakes: 0, movesAway: 0 },
  ]);
});

test('the servers that do not own the pool name the one that serves it, until it was silent for too long', async () => {
  const world = newWorld();
  const named = (): (string | null)[] => world.servers.map(({ pool }) => pool.status.servedBy);
  expect(named()).toEqual([null, null, null]);
  await pass(world, 8_000);
  expect(named()).toEqual([null, 'big-1', 'big-1']);
  world.storage.isFenceBroken = true;
  world.servers[0]!.kill();
  await pass(world, 60_000);
  expect(named().slice(1), 'big-2 waits for the fence').toEqual([null, null]);
  world.storage.isFenceBroken = false;
  await pass(world, 10_000);
  expect(named().slice(1)).toEqual([null, 'big-2']);
  world.servers[1]!.kill();
  await pass(world, 9_000);
  expect(world.servers[2]!.pool.status.servedBy).toBe('big-2');
  await pass(world, 1_500);
  expect(world.servers[2]!.pool.status.servedBy).toBe(null);
});

test('a server that starts beside a living owner takes nothing', async () => {
  const world = newWorld();
  world.servers[2]!.kill();
  await pass(world, 8_000);
  world.servers[2]!.boot();
  await pass(world, 60_000);
  expect(serving(world)).toEqual(['big-1']);
  expect(world.storage.record?.generation).toBe(1);
});

test('a server that comes again fences its own past and takes the pool again', async () => {
  const world = newWorld();
  await pass(world, 8_000);
  world.servers[0]!.kill();
  world.servers[0]!.boot();
  await pass(world, 3_000);
  expect(serving(world)).toEqual(['big-1']);
  expect(world.storage.record).toMatchObject({ generation: 2, life: 2 });
  expect(world.storage.fenced.has('client-0')).toBe(true);
});

test('a move goes on in the same life, fences nothing, and may be ordered at any server', async () => {
  const world = newWorld();
  await pass(world, 8_000);
  await moved(world, world.servers[1]!, 'big-3');
  expect(serving(world)).toEqual(['big-3']);
  expect(world.storage.record).toMatchObject({ generation: 2, life: 0, state: 'serving' });
  await moved(world, world.servers[2]!, 'big-1');
  expect(serving(world)).toEqual(['big-1']);
  expect(world.storage.record).toMatchObject({ generation: 3, life: 0 });
  expect(world.storage.fenced.size).toBe(0);
  const counts = world.servers.map(({ pool }) => [pool.counts.forcedTakes, pool.counts.movesAway]);
  expect(counts).toEqual([
    [0, 1],
    [0, 0],
    [0, 1],
  ]);
});

test('a move to a server that is not there is refused, and nothing happens', async () => {
  const world = newWorld();
  world.servers[2]!.kill();
  await pass(world, 15_000);
  await expect(moved(world, world.servers[0]!, 'big-3')).rejects.toThrow('Pool fast: server big-3 does not watch it');
  await expect(moved(world, world.servers[0]!, 'big-9')).rejects.toThrow('big-9 is not an owner of pool fast');
  expect(serving(world)).toEqual(['big-1']);
});

test('without a fence no server takes the pool of a silent owner', async () => {
  const world = newWorld(1, 'none');
  await pass(world, 8_000);
  world.servers[0]!.kill();
  await pass(world, 120_000);
  expect(serving(world)).toEqual([]);
  expect(world.servers[1]!.pool.status.why).toContain('server big-1, which serves it, has been silent for more than 10s, and fence = none');
});

test('a fence that is not proven keeps the pool waiting, with the reason, until it is proven', async () => {
  const world = newWorld();
  await pass(world, 8_000);
  world.storage.isFenceBroken = true;
  world.servers[0]!.kill();
  await pass(world, 60_000);
  expect(serving(world)).toEqual([]);
  expect(world.storage.record).toMatchObject({ state: 'taking', owner: { server: 'big-2' } });
  const [, taker, third] = world.servers as [FarmServer, FarmServer, FarmServer];
  expect(taker.pool.status.why).toContain('it waits for the fence of big-1, generation 1: client-0 is not proven');
  expect(taker.pool.unproven).toBe(taker.pool.status.why);
  expect(third.pool.status.why).toBe('server big-2 is taking it, and big-1 is not fenced yet: see rsadm farm on big-2');
  expect(third.pool.unproven).toBe(null);
  world.storage.isFenceBroken = false;
  const reasons = new Set<string>();
  for (let calls = 0; calls < 1_000 && serving(world).length === 0; calls++) {
    if (calls % 10 === 0) for (const server of [taker, third]) server.clock.advance(100);
    await settled();
    await world.storage.stir();
    if (taker.pool.unproven === null) reasons.add(taker.pool.status.why);
  }
  expect(serving(world)).toEqual(['big-2']);
  expect([...reasons]).toEqual(['this server is taking it', 'this server owns it']);
});

test('a taker that stops before its fence is proven leaves the record, and the next taker fences both', async () => {
  const world = newWorld();
  await pass(world, 8_000);
  world.storage.isFenceBroken = true;
  world.servers[0]!.kill();
  await pass(world, 30_000);
  const [, taker] = world.servers as [FarmServer, FarmServer, FarmServer];
  expect(taker.pool.unproven).not.toBe(null);
  taker.pool.stop();
  await after(world, taker.pool.close(true));
  expect(world.storage.record).toMatchObject({ state: 'taking', owner: { server: 'big-2' }, writers: [{ server: 'big-1' }] });
  taker.kill();
  world.storage.isFenceBroken = false;
  await pass(world, 40_000);
  expect(serving(world)).toEqual(['big-3']);
  expect([...world.storage.fenced]).toEqual(['client-0', 'client-1']);
});

test('a stopped owner ends its ownership when it goes on, and answers no look with yes', async () => {
  const world = newWorld();
  await pass(world, 8_000);
  const [zombie] = world.servers as [FarmServer];
  zombie.isStopped = true;
  await pass(world, 20_000);
  expect(world.storage.record).toMatchObject({ generation: 2, owner: { server: 'big-2' } });
  const answer = zombie.pool.looks.isMine(1);
  zombie.isStopped = false;
  await pass(world, 500);
  expect(await answer).toBe(false);
  await pass(world, 3_000);
  expect(serving(world)).toEqual(['big-2']);
  expect(zombie.mounted).toBeNull();
});

test('the volumes of a pool are disputed until the owner has served it for a while, and after each take anew', async () => {
  const world = newWorld();
  while (serving(world).length === 0) await pass(world, 100);
  const [first, second] = world.servers as [FarmServer, FarmServer];
  expect(first.pool.looks.disputedMs(1)).toBeGreaterThan(DISPUTED_MS - 1_000);
  await pass(world, DISPUTED_MS);
  expect(first.pool.looks.disputedMs(1)).toBe(0);
  await moved(world, first, 'big-2');
  expect(first.pool.looks.disputedMs(1)).toBeNull();
  expect(second.pool.looks.disputedMs(2)).toBeGreaterThan(0);
  expect(second.pool.looks.disputedMs(1)).toBeNull();
});

test('an owner that is cut off from the storage ends its ownership, and comes again when the storage is back and nobody has taken it', async () => {
  const world = newWorld();
  for (const other of world.servers.slice(1)) other.kill();
  await pass(world, 8_000);
  world.servers[0]!.isCutOff = true;
  await pass(world, 9_000);
  expect(serving(world)).toEqual(['big-1']);
  await pass(world, 8_000);
  expect(serving(world)).toEqual([]);
  world.servers[0]!.isCutOff = false;
  await pass(world, 20_000);
  expect(serving(world)).toEqual(['big-1']);
  expect(world.storage.record).toMatchObject({ generation: 2, life: 2 });
});

test('the owner stores other owners, and the others take nothing until they have the same', async () => {
  const world = newWorld();
  const [first, second, third] = world.servers as [FarmServer, FarmServer, FarmServer];
  await pass(world, 8_000);
  const owners = ['big-3', 'big-1'];
  first.configure({ ...config, owners });
  await pass(world, 3_000);
  expect(world.storage.record).toMatchObject({ generation: 1, state: 'serving', owners, owner: { server: 'big-1' } });
  expect(serving(world)).toEqual(['big-1']);
  expect(third.pool.status.why).toBe('its owners are big-3, big-1 by its record, and big-1, big-2, big-3 by rssrvcfg: make them the same');
  first.kill();
  await pass(world, 30_000);
  expect(serving(world)).toEqual([]);
  for (const one of [second, third]) one.configure({ ...config, owners });
  await pass(world, 5_000);
  expect(serving(world)).toEqual(['big-3']);
  expect(second.pool.status.why).toBe('this server, big-2, is not one of its owners');
});

test('a clean move follows a change of owners, also one whose outcome the owner did not learn', async () => {
  const world = newWorld();
  const [first, second] = world.servers as [FarmServer, FarmServer, FarmServer];
  await pass(world, 8_000);
  const owners = ['big-2', 'big-1', 'big-3'];
  for (const one of world.servers) one.configure({ ...config, owners });
  first.clock.advance(1_000);
  for (let turn = 0; turn < 200 && world.storage.record?.owners.join() !== owners.join(); turn++) await world.storage.stir();
  expect(world.storage.record).toMatchObject({ owners, generation: 1 });
  // The storage's answers to the owner are lost.
  const answers = world.storage.answers.splice(0);
  expect(answers.some(({ to }) => to === first)).toBe(true);
  await pass(world, 8_000);
  await moved(world, first, 'big-2');
  expect(serving(world)).toEqual(['big-2']);
  expect(second.pool.ownership).toMatchObject({ generation: 2, life: 0 });
});

test('a list of owners without the owner is not stored, and a list of a server that does not own the pool neither', async () => {
  const world = newWorld();
  await pass(world, 8_000);
  world.servers[0]!.configure({ ...config, owners: ['big-2', 'big-3'] });
  world.servers[1]!.configure({ ...config, owners: ['big-2'] });
  await pass(world, 10_000);
  expect(world.storage.record).toMatchObject({ owners: OWNERS, version: 3 });
  expect(serving(world)).toEqual(['big-1']);
});

test('a taker that another server has overtaken mounts nothing', async () => {
  const world = newWorld();
  const { storage, servers } = world;
  for (const other of servers.slice(1)) other.kill();
  await pass(world, 2_000);
  for (let turn = 0; turn < 2_000 && storage.record?.state !== 'taking'; turn++) {
    for (const { clock } of servers) clock.advance(10);
    await settled();
    await storage.stir();
  }
  const { record } = storage;
  expect(record).toMatchObject({ state: 'taking', generation: 1, owner: { server: 'big-1' } });
  storage.record = taken(record!, 'big-3', 'client-of-another-process', 0);
  await pass(world, 3_000);
  expect(storage.writes).toEqual([]);
  expect(serving(world)).toEqual([]);
});

test('two servers with one name are noticed', async () => {
  const world = newWorld();
  await pass(world, 8_000);
  world.storage.notes.set('big-1', { generation: 0, count: 1_000_000, wants: null, refusal: null });
  await pass(world, 1_000);
  expect(world.servers[0]!.pool.status.why).toContain('another process posts notes with the name big-1');
});

/** Lets at most this time pass, and resolves with the result of `work`. */
async function after<T>(world: World, work: Promise<T>, mostMs = 150_000): Promise<T> {
  let isOver = false;
  const done = work.finally(() => {
    isOver = true;
  });
  done.catch(() => undefined);
  for (let ms = 0; ms < mostMs && !isOver; ms += 500) await pass(world, 500);
  if (!isOver) throw new Error(`Not over after ${mostMs} ms`);
  return done;
}

test('a server that cannot mount the pool leaves it to the others, in a new life', async () => {
  const world = newWorld();
  const [first, second, third] = world.servers as [FarmServer, FarmServer, FarmServer];
  await pass(world, 8_000);
  second.failingMounts = 1_000;
  first.kill();
  await pass(world, 20_000);
  expect(serving(world)).toEqual(['big-3']);
  expect(world.storage.record).toMatchObject({ generation: 3, life: 2 });
  expect([...world.storage.fenced]).toEqual(['client-0']);
  third.kill();
  first.boot();
  await pass(world, 40_000);
  expect(serving(world)).toEqual(['big-1']);
});

test('a taker that is overtaken frees nothing', async () => {
  const world = newWorld();
  const { storage } = world;
  await pass(world, 8_000);
  // The record of the other taker has the version that this taker was about to store.
  const add = storage.fenced.add.bind(storage.fenced);
  storage.fenced.add = (client) => {
    if (storage.record?.generation === 2) storage.record = taken(storage.record, 'big-3', 'client-x', 0);
    return add(client);
  };
  world.servers[0]!.kill();
  const generations: number[] = [];
  while (!serving(world).includes('big-3')) {
    await pass(world, 100);
    generations.push(storage.record!.generation);
  }
  expect(generations).toEqual(generations.toSorted((one, other) => one - other));
  expect(storage.fenced).toContain('client-x');
});

test('a pool that no server can mount is tried by all of them, and not more often than before', async () => {
  const world = newWorld();
  await pass(world, 8_000);
  world.servers[0]!.kill();
  for (const server of world.servers) server.failingMounts = 1_000;
  world.servers[0]!.boot();
  await pass(world, 60_000);
  expect(serving(world)).toEqual([]);
  expect(world.storage.record!.generation).toBeLessThan(40);
  expect(world.servers.map(({ events }) => events.includes('Pool fast: wrong fs type'))).toEqual([true, true, true]);
});

test('of two commands for one pool, the one that another server overtakes ends with the reason', async () => {
  const world = newWorld();
  const [first, second] = world.servers as [FarmServer, FarmServer, FarmServer];
  await pass(world, 8_000);
  const moves = [movePool(first.pool, 'big-1', 'big-2', first.clock), movePool(second.pool, 'big-2', 'big-3', second.clock)];
  const ends = Promise.allSettled(moves).then((all) =>
    all.map((end) => (end.status === 'fulfilled' ? 'moved' : toRsError(end.reason).message)),
  );
  expect(await after(world, ends, 20_000)).toEqual([
    'moved',
    'Pool fast: server big-2 has taken it meanwhile, perhaps by another command: see rsadm farm',
  ]);
  expect(serving(world)).toEqual(['big-2']);
});

test('a refusal concerns only the move that was refused', async () => {
  const world = newWorld();
  const [first, second] = world.servers as [FarmServer, FarmServer, FarmServer];
  await pass(world, 8_000);
  first.isBusy = true;
  await expect(moved(world, second, 'big-2')).rejects.toThrow('Job 7 uses pool fast');
  expect(serving(world)).toEqual(['big-1']);
  first.isBusy = false;
  await moved(world, second, 'big-2');
  expect(serving(world)).toEqual(['big-2']);
  expect(world.storage.record).toMatchObject({ generation: 2, life: 0 });
});

describe('a pool that moves by command only', () => {
  const never = { ...config, takeOverMs: null };

  async function neverWorld(fence: 'rbd' | 'none' = 'rbd'): Promise<World> {
    const world = newWorld(1, fence);
    for (const server of world.servers) server.configure({ ...never, fence: { kind: fence } });
    await pass(world, 8_000);
    return world;
  }

  test('no server takes it while it is free, and a command brings it to any owner, in the same life', async () => {
    const world = await neverWorld();
    await pass(world, 60_000);
    expect([serving(world), world.storage.record?.generation]).toEqual([[], 0]);
    expect(world.servers[0]!.pool.status.why).toBe('it is free, and waits for a command: take-over-after = never, so give rsadm pool move');
    await moved(world, world.servers[0]!, 'big-2');
    expect(serving(world)).toEqual(['big-2']);
    expect(world.storage.record).toMatchObject({ generation: 1, life: 0 });
  });

  test('no server takes it from a silent owner, and a command does, with the fence', async () => {
    const world = await neverWorld();
    await moved(world, world.servers[0]!, 'big-1');
    world.servers[0]!.kill();
    await pass(world, 120_000);
    expect(serving(world)).toEqual([]);
    expect(world.servers[1]!.pool.status.why).toContain('has been silent for more than 10s: take-over-after = never');
    await moved(world, world.servers[1]!, 'big-3');
    expect(serving(world)).toEqual(['big-3']);
    expect(world.storage.record).toMatchObject({ generation: 2, life: 2 });
    expect(world.storage.fenced.size).toBe(1);
  });

  test('without a fence, a command does not take it either', async () => {
    const world = await neverWorld('none');
    await moved(world, world.servers[0]!, 'big-1');
    world.servers[0]!.kill();
    await pass(world, 20_000);
    await expect(moved(world, world.servers[1]!, 'big-2')).rejects.toThrow('fence = none permits no take-over');
    expect(world.storage.record).toMatchObject({ generation: 1, owner: { server: 'big-1' } });
  });

  test('a server that starts again waits for a command, although the record names it', async () => {
    const world = await neverWorld();
    const [first] = world.servers as [FarmServer, ...FarmServer[]];
    await moved(world, first, 'big-1');
    first.kill();
    first.boot();
    await pass(world, 30_000);
    expect(serving(world)).toEqual([]);
    expect(first.pool.status.why).toContain('this server has lost it, and waits for a command');
    await moved(world, first, 'big-1');
    expect(serving(world)).toEqual(['big-1']);
    expect(world.storage.record).toMatchObject({ generation: 2, life: 2 });
  });

  test('another server is not told that a restarted owner serves it', async () => {
    const world = await neverWorld();
    const [first, second] = world.servers as [FarmServer, FarmServer, FarmServer];
    await moved(world, first, 'big-1');
    first.kill();
    first.boot();
    await pass(world, 30_000);
    await moved(world, second, 'big-1');
    expect(serving(world)).toEqual(['big-1']);
  });

  test.each(['rbd', 'none'] as const)('a pool whose owner has started again goes to any server, fence %s', async (fence) => {
    const world = await neverWorld(fence);
    const [first, second] = world.servers as [FarmServer, FarmServer, FarmServer];
    await moved(world, first, 'big-1');
    first.kill();
    first.boot();
    await pass(world, 30_000);
    await moved(world, second, 'big-2');
    expect(serving(world)).toEqual(['big-2']);
    expect(world.storage.record).toMatchObject({ generation: 3, life: 2 });
  });

  test('a server that cannot mount it says why at once, and leaves it to the next command', async () => {
    const world = await neverWorld();
    const [first, second, third] = world.servers as [FarmServer, FarmServer, FarmServer];
    await moved(world, first, 'big-1');
    second.failingMounts = 1_000;
    await expect(moved(world, second, 'big-2')).rejects.toThrow('Pool fast: wrong fs type');
    await pass(world, 30_000);
    expect(world.storage.record).toMatchObject({ generation: 2, life: 0, state: 'free', next: null });
    await expect(moved(world, third, 'big-2')).rejects.toThrow('Pool fast: server big-2 has not succeeded in taking it: its log says why');
    await moved(world, second, 'big-3');
    expect(serving(world)).toEqual(['big-3']);
    expect(world.storage.record).toMatchObject({ generation: 4, life: 0 });
  });

  test('of two commands that wait for the same step, one runs after the other', async () => {
    const world = await neverWorld();
    const [first] = world.servers as [FarmServer, ...FarmServer[]];
    await moved(world, first, 'big-1');
    world.storage.diskBytes = 5_000;
    const released = first.pool.giveUpToNone();
    await expect(after(world, first.pool.grow())).rejects.toThrow('this server does not serve it: it is given up');
    await after(world, released);
    expect([world.storage.fileSystemBytes, world.storage.record?.state]).toEqual([1_000, 'free']);
  });

  test('a release is a clean end, after which no server has the pool', async () => {
    const world = await neverWorld();
    const [first] = world.servers as [FarmServer, ...FarmServer[]];
    await moved(world, first, 'big-1');
    await after(world, first.pool.giveUpToNone());
    expect([serving(world), first.mounted]).toEqual([[], null]);
    expect(world.storage.record).toMatchObject({ state: 'free', owner: null, next: null, writers: [] });
    await pass(world, 60_000);
    expect(serving(world)).toEqual([]);
    await moved(world, first, 'big-3');
    expect(world.storage.record).toMatchObject({ generation: 2, life: 0, state: 'serving' });
    expect(world.storage.fenced.size).toBe(0);
  });

  test('a release that a job prevents changes nothing, and does not answer a later move', async () => {
    const world = await neverWorld();
    const [first, second] = world.servers as [FarmServer, FarmServer, FarmServer];
    await moved(world, first, 'big-1');
    first.isBusy = true;
    await expect(after(world, first.pool.giveUpToNone())).rejects.toThrow('Job 7 uses pool fast');
    await pass(world, 10_000);
    expect(serving(world)).toEqual(['big-1']);
    expect(first.pool.ownership).toMatchObject({ generation: 1 });
    first.isBusy = false;
    await moved(world, second, 'big-2');
    expect(serving(world)).toEqual(['big-2']);
  });

  test('a server that stops leaves it to a command', async () => {
    const world = await neverWorld();
    const [first, second] = world.servers as [FarmServer, FarmServer, FarmServer];
    await moved(world, first, 'big-1');
    await after(world, first.pool.close(true));
    await pass(world, 30_000);
    expect(world.storage.record).toMatchObject({ state: 'free', owner: null });
    expect(second.isServing).toBe(false);
  });
});

test('a pool that servers take by themselves is not released', async () => {
  const world = newWorld();
  await pass(world, 8_000);
  await expect(world.servers[0]!.pool.giveUpToNone()).rejects.toThrow('Servers take pool fast by themselves: set take-over-after = never');
  expect(serving(world)).toEqual(['big-1']);
});

describe('growth', () => {
  test('the owner grows the file system; another server names the owner', async () => {
    const world = newWorld();
    await pass(world, 8_000);
    world.storage.diskBytes = 5_000;
    await expect(world.servers[1]!.pool.grow()).rejects.toThrow('Pool fast: give this command at its owner, big-1');
    expect(world.storage.fileSystemBytes).toBe(1_000);
    expect(await after(world, world.servers[0]!.pool.grow())).toBe(5_000);
    expect(world.storage.fileSystemBytes).toBe(5_000);
    expect(serving(world)).toEqual(['big-1']);
  });

  test('a pool that no server has is not grown', async () => {
    const world = newWorld();
    await expect(world.servers[0]!.pool.grow()).rejects.toThrow('this server does not serve it');
  });

  test('a move waits until the growth has ended', async () => {
    const world = newWorld();
    await pass(world, 8_000);
    world.storage.diskBytes = 5_000;
    const grown = world.servers[0]!.pool.grow();
    await moved(world, world.servers[0]!, 'big-2');
    expect([await grown, world.storage.fileSystemBytes]).toEqual([5_000, 5_000]);
    expect(serving(world)).toEqual(['big-2']);
  });

  test('a growth at an owner that was fenced fails, and its ownership ends', async () => {
    const world = newWorld();
    const [first] = world.servers as [FarmServer, ...FarmServer[]];
    await pass(world, 8_000);
    first.isStopped = true;
    await pass(world, 20_000);
    expect(serving(world)).toContain('big-2');
    world.storage.diskBytes = 5_000;
    first.isStopped = false;
    await expect(after(world, first.pool.grow())).rejects.toThrow();
    await pass(world, 5_000);
    expect([serving(world), world.storage.fileSystemBytes]).toEqual([['big-2'], 1_000]);
  });
});

test('the note of the owner has its load', async () => {
  const world = newWorld();
  await pass(world, 12_000);
  expect(OWNERS.map((name) => [name, world.storage.notes.get(name)?.load])).toEqual([
    ['big-1', 7],
    ['big-2', 0],
    ['big-3', 0],
  ]);
});

describe('random worlds', () => {
  test.each(Array.from({ length: 150 }, (_, seed) => seed))(
    'seed %i: no write of an earlier owner is executed after a mount',
    async (seed) => {
      const random = new SeededRandom(seed);
      const world = newWorld(seed);
      const { storage, servers } = world;
      const lives = new Map<number, number>();
      let [last, uncleanGeneration] = [storage.record, -1];
      for (let turn = 0; turn < 400; turn++) {
        const server = random.pick(servers);
        const before = storage.writes.length;
        const { mountedBy } = storage;
        switch (random.int(0, 40)) {
          case 0:
            server.kill();
            break;
          case 1:
            if (!server.isAlive) server.boot();
            break;
          case 2:
            server.isStopped = !server.isStopped;
            break;
          case 3:
            server.isCutOff = !server.isCutOff;
            break;
          case 4:
            storage.isFenceBroken = random.chance(0.3);
            break;
          case 5:
            if (server.isAlive && !server.isStopped)
              void movePool(server.pool, server.name, random.pick(OWNERS), server.clock).catch(() => undefined);
            break;
          case 6:
            server.configure({ ...config, owners: random.pick([OWNERS, OWNERS.toReversed(), ['big-2', 'big-1']]) });
            break;
          case 7:
            if (server.isAlive && !server.isStopped) void server.pool.giveUpToNone().catch(() => undefined);
            break;
          case 8:
            if (server.isAlive && !server.isStopped) void server.pool.grow().catch(() => undefined);
            break;
          case 9:
            server.configure({ ...config, takeOverMs: random.pick([null, 10_000]) });
            break;
          case 10:
            server.failingMounts = random.pick([0, 0, 1, 3]);
            break;
          default:
            if (server.isAlive && !server.isStopped) server.clock.advance(random.pick([50, 200, 1_000, 3_000, 12_000]));
        }
        server.write();
        await settled();
        for (let calls = random.int(0, 6); calls > 0; calls--) {
          await storage.stir();
          const { record } = storage;
          if (record?.state === 'serving' || record?.state === 'free') lives.set(record.generation, record.life);
          expect(record?.generation).toBeGreaterThanOrEqual(last?.generation ?? 0);
          if (record?.state === 'taking' && last?.state === 'serving') uncleanGeneration = last.generation;
          if (record?.state === 'serving') expect(record.life).toBeGreaterThan(uncleanGeneration);
          last = record;
        }
        for (const write of storage.writes.slice(before)) expect(write.generation).toBeGreaterThanOrEqual(mountedBy);
        for (const { name, isServing, isAlive, pool } of servers)
          if (isServing && isAlive && pool.ownership !== null)
            expect(
              storage.servers.filter(
                (one) => one.isServing && one.pool.ownership?.generation === pool.ownership?.generation && one.name !== name,
              ),
            ).toEqual([]);
      }
      // The life is either the life of the last generation, or the generation itself.
      for (const [generation, life] of lives)
        expect(life === generation || life === lives.get(generation - 1) || generation === 1).toBe(true);
      for (const one of servers) {
        one.isCutOff = false;
        one.isStopped = false;
        one.failingMounts = 0;
        one.configure({ ...config, owners: storage.record?.owners ?? OWNERS });
        if (!one.isAlive) one.boot();
      }
      storage.isFenceBroken = false;
      await pass(world, 90_000);
      expect(serving(world)).toHaveLength(1);
    },
  );
});
