// Tests snapshots and clones that are made aside, while other changes run: which changes are refused, that `settleParts` does not change
// the unfinished files, and that a stop or failure at any step leaves no files. The tests delay the clone of a file, because in reality the
// clone of a fragmented file takes a long time.

import fs from 'node:fs';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { describe, expect, test } from 'vitest';
import { ChangeQueue } from '../admin/change-queue.ts';
import { decideMove } from '../jobs/moves/move-rules.ts';
import { LOCAL_ASKER } from '../pools/asker.ts';
import type { Found } from '../pools/catalogue.ts';
import type { Moments } from '../pools/snapshots/moment.ts';
import type { Turn } from '../pools/requests/turn.ts';
import { NO_HOLD, PLAIN_CLONES } from '../testing/plain-clones.ts';
import { DB, directory, scenes, usePoolDirectory } from '../testing/pool-directory.ts';
import { PoolScene, type SceneOptions } from '../testing/pool-scene.ts';
import { snapshotContent, volumeContent, volumeIn, writeVolume } from '../testing/volume-content.ts';
import { snapshotsOf } from './snapshot-rules.ts';
import { WHOLE_TURN } from '../testing/whole-turn.ts';

usePoolDirectory();

const KIB = 1024;
const NAMES = ['a', 'b'];
const STRIPE = { pools: NAMES, chunkBytes: 4 * KIB, sizeBytes: 32 * KIB };
const MONDAY = { ...DB, snapshot: 'monday' };
const OLD = { ...DB, snapshot: 'old' };
const COPY = { name: 'copy', universe: 0 };

/** Work that waits until the test opens the gate. */
class Gate {
  readonly reached: Promise<void>;
  open: () => void = () => undefined;
  private arrive: () => void = () => undefined;
  private readonly opened: Promise<void>;

  constructor() {
    this.reached = new Promise((resolve) => (this.arrive = resolve));
    this.opened = new Promise((resolve) => (this.open = resolve));
  }

  pass(): Promise<void> {
    this.arrive();
    return this.opened;
  }
}

class Server {
  readonly scene: PoolScene;
  readonly queue = new ChangeQueue();

  private constructor(scene: PoolScene) {
    this.scene = scene;
  }

  static async open(options: Partial<SceneOptions> = {}, at = directory): Promise<Server> {
    const scene = await PoolScene.open(at, { clock: systemClock, names: NAMES, ...options });
    scenes.push(scene);
    return new Server(scene);
  }

  change<T>(work: (turn: Turn) => Promise<T>): Promise<T> {
    return this.queue.run(work, 'a change by command');
  }

  snapshot(name = MONDAY): Promise<unknown> {
    return this.change((turn) => this.scene.snapshots.snapshot([name], LOCAL_ASKER, null, turn));
  }

  clone(to = COPY): Promise<Found> {
    return this.change((turn) => this.scene.snapshots.clone(OLD, to, LOCAL_ASKER, null, turn));
  }

  get names(): string[] {
    return snapshotsOf(volumeIn(this.scene, 'db')).list.map(({ name }) => name);
  }

  get volumes(): string[] {
    return this.scene.pools.states.flatMap(({ volumes }) => [...volumes.values()].map(({ name }) => name)).toSorted();
  }
}

/** Returns the files that belong to no finished volume or snapshot. */
function leftIn(at: string): string[] {
  const all = fs.readdirSync(at, { recursive: true }) as string[];
  return all.filter((file) => /\.new|\.purge|data-\d/.test(file));
}

function fill(scene: PoolScene, seed: number): Buffer {
  const content = Buffer.alloc(
    volumeIn(scene, 'db').manifest.sizeBytes,
    Buffer.from(Array.from({ length: 251 }, (_, at) => (at * 7 + seed) % 251)),
  );
  writeVolume(scene, 'db', content);
  return content;
}

/** Moments that end only when the test opens the gate. */
function slowMoment(gate: Gate): Moments {
  return {
    take: async (copies) => {
      await NO_HOLD.take(copies);
      await gate.pass();
    },
  };
}

/** Makes a volume, and begins a snapshot of this volume. The snapshot ends only when the test opens the gate. */
async function making(request: object, gate: Gate, options: Partial<SceneOptions> = {}) {
  const isSlow = { now: false };
  const moments: Moments = { take: (copies) => (isSlow.now ? slowMoment(gate) : NO_HOLD).take(copies) };
  const server = await Server.open({ moments, ...options });
  await server.scene.create(request);
  await server.snapshot(OLD);
  const content = fill(server.scene, 1);
  isSlow.now = true;
  const snapshot = server.snapshot();
  await Promise.race([gate.reached, snapshot]);
  isSlow.now = false;
  return { server, content, snapshot };
}

describe.each([
  ['a volume of one file', { pool: 'a' }],
  ['a stripe', STRIPE],
])('%s', (_kind, request) => {
  test('other volumes are changed, and pools are read again, while a snapshot is made', async () => {
    const gate = new Gate();
    const { server, content, snapshot } = await making(request, gate);
    const { scene } = server;
    const other = { name: 'other', universe: 0 };
    await server.change(() => scene.create({ name: 'other', pool: 'a', sizeBytes: 8 * KIB }));
    await server.change(() => scene.verbs.grow(other, 16 * KIB, LOCAL_ASKER, null));
    await server.snapshot({ ...other, snapshot: 'monday' });
    await server.change(() => scene.verbs.remove(other, LOCAL_ASKER, null));
    for (const name of NAMES) await server.change(() => scene.verbs.readAgain(name));
    const reload = await server.change(() => scene.pools.prepare(scene.configs));
    await server.change(() => reload.commit());
    expect(server.queue.current?.what).toBe('a change by command');
    expect([server.names, leftIn(directory).length > 0]).toEqual([['old'], true]);
    gate.open();
    await snapshot;
    fill(scene, 2);
    expect([server.names, leftIn(directory)]).toEqual([['old', 'monday'], []]);
    expect(snapshotContent(scene, 'db', snapshotsOf(volumeIn(scene, 'db')).list[1]!).equals(content)).toBe(true);
    await server.change(() => scene.verbs.remove(DB, LOCAL_ASKER, null));
    await server.queue.idle(systemClock, 1_000);
    expect(scene.logged.filter((line) => /cannot|E_/.test(line))).toEqual([]);
  });

  test('a snapshot that fails, at any time, leaves nothing, and the volume is changed then', async () => {
    const gate = new Gate();
    const { server, snapshot } = await making(request, gate);
    const { scene } = server;
    const failed = expect(snapshot).rejects.toThrow();
    const without = await server.change(() => scene.pools.prepare(scene.configs.filter(({ name }) => name !== 'a')));
    await server.change(() => without.commit());
    gate.open();
    await failed;
    await scene.pools.close();
    const again = await Server.open();
    expect([again.names, leftIn(directory)]).toEqual([['old'], []]);
    await again.snapshot();
    expect(again.names).toEqual(['old', 'monday']);
  });

  test('a stop while the chunks are cloned, after other changes', async () => {
    const gate = new Gate();
    const { server, snapshot } = await making(request, gate);
    await server.change(() => server.scene.create({ name: 'other', pool: 'b' }));
    const moved = `${directory}-stopped`;
    fs.renameSync(directory, moved);
    fs.mkdirSync(directory);
    const again = await Server.open({}, moved);
    expect([again.names, again.volumes, leftIn(moved)]).toEqual([['old'], ['db', 'other'], []]);
    gate.open();
    await expect(snapshot).rejects.toThrow();
    await again.scene.pools.close();
    fs.rmSync(moved, { recursive: true });
  });

  test('a clone is made aside: other changes go on, and its name is checked again', async () => {
    const gate = new Gate();
    let isSlow = false;
    const cloneFile = async (from: string, to: string): Promise<void> => {
      if (isSlow) await gate.pass();
      await PLAIN_CLONES.cloneFile(from, to);
    };
    const server = await Server.open({ reflink: { ...PLAIN_CLONES, cloneFile } });
    await server.scene.create(request);
    const content = fill(server.scene, 1);
    await server.snapshot(OLD);
    isSlow = true;
    const both = Promise.allSettled([server.clone(), server.clone()]);
    await gate.reached;
    for (const name of NAMES) await server.change(() => server.scene.verbs.readAgain(name));
    await server.change(() => server.scene.create({ name: 'other', pool: 'a' }));
    expect(server.volumes).toEqual(['db', 'other']);
    gate.open();
    const refused = (await both).flatMap((one) => (one.status === 'rejected' ? [(one.reason as RsError).code] : []));
    expect(refused).toEqual(['E_EXISTS']);
    expect([server.volumes, leftIn(directory)]).toEqual([['copy', 'db', 'other'], []]);
    expect(volumeContent(server.scene, 'copy').equals(content)).toBe(true);
    expect(server.scene.served.has('copy@0')).toBe(true);
  });
});

test('changes of the volume of a snapshot that is being made are refused, naming it; settings and other snapshots are not', async () => {
  const gate = new Gate();
  const { server, snapshot } = await making({ pool: 'a' }, gate);
  const { scene } = server;
  const changes: readonly (() => Promise<unknown>)[] = [
    () => scene.verbs.grow(DB, 64 * KIB * KIB, LOCAL_ASKER, null),
    () => scene.verbs.rename(DB, { name: 'new', universe: 0 }, LOCAL_ASKER, null),
    () => scene.verbs.remove(DB, LOCAL_ASKER, null),
    () => scene.snapshots.rollback(OLD, LOCAL_ASKER, null),
    () => scene.snapshots.snapshot([{ ...DB, snapshot: 'tuesday' }], LOCAL_ASKER, null, WHOLE_TURN),
    async () => decideMove({ pools: scene.pools.states, configured: [] }, volumeIn(scene, 'db'), 'b', LOCAL_ASKER),
    () => scene.verbs.whileUnserved(volumeIn(scene, 'db'), () => Promise.resolve()),
  ];
  for (const change of changes)
    await expect(server.change(change)).rejects.toMatchObject({
      code: 'E_BUSY',
      message: 'Snapshot db@monday is being made: try again when it is there',
    });
  await expect(server.change(() => scene.snapshots.snapshot([OLD], LOCAL_ASKER, null, WHOLE_TURN))).rejects.toMatchObject({
    code: 'E_EXISTS',
  });
  await server.change(() => scene.verbs.set(DB, { schedule: null }, LOCAL_ASKER, null));
  await server.clone();
  await server.change(() => scene.snapshots.remove(OLD, LOCAL_ASKER, null));
  gate.open();
  await snapshot;
  expect([server.names, server.volumes]).toEqual([['monday'], ['copy', 'db']]);
  await server.change(() => scene.verbs.grow(DB, 2 * KIB * KIB, LOCAL_ASKER, null));
});

test('a moment that fails leaves nothing, and the next snapshot of the name is made', async () => {
  let isFailing = true;
  const moments: Moments = {
    take: async (copies) => {
      await NO_HOLD.take(copies);
      if (isFailing) throw new RsError('E_BUSY', 'The clients write too fast');
    },
  };
  const server = await Server.open({ moments });
  await server.scene.create({ pool: 'a' });
  await expect(server.snapshot()).rejects.toThrow('The clients write too fast');
  expect([server.names, leftIn(directory)]).toEqual([[], []]);
  isFailing = false;
  await server.snapshot();
  expect(server.names).toEqual(['monday']);
});

test('a clone whose snapshot is removed meanwhile is refused, and leaves nothing', async () => {
  const gate = new Gate();
  let isSlow = false;
  const cloneFile = async (from: string, to: string): Promise<void> => {
    await PLAIN_CLONES.cloneFile(from, to);
    if (isSlow) await gate.pass();
  };
  const server = await Server.open({ reflink: { ...PLAIN_CLONES, cloneFile } });
  await server.scene.create({ pool: 'a' });
  await server.snapshot(OLD);
  isSlow = true;
  const clone = server.clone();
  const refused = expect(clone).rejects.toMatchObject({ code: 'E_UNKNOWN_SNAPSHOT' });
  await gate.reached;
  await server.change(() => server.scene.snapshots.remove(OLD, LOCAL_ASKER, null));
  gate.open();
  await refused;
  expect([server.volumes, leftIn(directory), fs.readdirSync(path.join(directory, 'a', 'volumes'))]).toEqual([
    ['db'],
    [],
    [volumeIn(server.scene, 'db').manifest.id],
  ]);
});

test('a group of which one volume fails leaves the pools of the others as they are, also without earlier snapshots', async () => {
  const server = await Server.open();
  const { scene } = server;
  const { manifest } = await scene.create({ pool: 'a' });
  await scene.create({ name: 'log', pool: 'b' });
  // The step `begin` fails for this volume, because a file already has the name of the data file of the new snapshot.
  fs.mkdirSync(path.join(directory, 'a', 'volumes', manifest.id, 'snapshots'));
  fs.writeFileSync(path.join(directory, 'a', 'volumes', manifest.id, 'snapshots', 'monday.data'), '');
  const group = [MONDAY, { ...MONDAY, name: 'log' }];
  await expect(server.change((turn) => scene.snapshots.snapshot(group, LOCAL_ASKER, null, turn))).rejects.toMatchObject({
    code: 'E_EXISTS',
  });
  expect(scene.pools.states.map(({ trouble }) => trouble)).toEqual([null, null]);
  await server.snapshot({ ...MONDAY, name: 'log' });
});

test('a snapshot whose pool was closed and opened again before its files are begun is refused', async () => {
  const gate = new Gate();
  const server = await Server.open();
  const { scene } = server;
  await scene.create({ pool: 'a' });
  await scene.create({ name: 'log', pool: 'b' });
  // The pool of the second volume is closed and opened while the files of the first volume are written back.
  const onDisk = scene.pools.onDisk.bind(scene.pools);
  let isSlow = true;
  scene.pools.onDisk = async (pool, limitMs, work) => {
    if (isSlow && typeof pool !== 'string' && pool.name === 'a') {
      isSlow = false;
      await gate.pass();
    }
    return onDisk(pool, limitMs, work);
  };
  const group = [MONDAY, { ...MONDAY, name: 'log' }];
  const snapshot = server.change((turn) => scene.snapshots.snapshot(group, LOCAL_ASKER, null, turn));
  const failed = expect(snapshot).rejects.toMatchObject({ code: 'E_POOL' });
  await gate.reached;
  for (const configs of [scene.configs.filter(({ name }) => name !== 'b'), scene.configs]) {
    const reload = await server.change(() => scene.pools.prepare(configs));
    await server.change(() => reload.commit());
  }
  gate.open();
  await failed;
  expect([leftIn(directory), scene.pools.states.map(({ trouble }) => trouble)]).toEqual([[], [null, null]]);
  await server.snapshot({ ...MONDAY, name: 'log' });
});

test('a pool that falls silent aside, during a reload, stays unusable after it', async () => {
  const { scene, queue } = await Server.open();
  const gate = new Gate();
  const reload = await scene.pools.prepare(scene.configs);
  await expect(scene.pools.onDisk('a', 1, () => gate.pass())).rejects.toMatchObject({ code: 'E_TIMEOUT' });
  await reload.commit();
  expect(scene.pools.states.map(({ trouble }) => trouble !== null)).toEqual([true, false]);
  gate.open();
  await expect.poll(() => scene.pools.states.map(({ trouble }) => trouble)).toEqual([null, null]);
  await queue.idle(systemClock, 1_000);
});
