// Pools on disk: what each verb leaves behind, a stop at every step, repeated requests, and pools that cannot be used. The oracle of a stop
// is a copy of the pool's directory at that step, as kill -9 would leave it.

import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@rsio/common/lib/clock';
import { FakeClock } from '@rsio/common/testing/fake-clock';
import { needPrograms } from '@rsio/common/testing/needs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PoolScene } from '../testing/pool-scene.ts';
import { takeLocks } from '../volumes/file-locks.ts';
import { LOCAL_ASKER } from './asker.ts';
import { ALLOCATE_MAX_MS } from './disk/limits.ts';
import { POOL_CHANGE_MS, POOL_SILENT_MS, REMOVED_KEPT_MS } from './limits.ts';
import { parseManifest, printIdentity, printManifest } from './disk/manifest.ts';
import { PoolFiles } from './disk/pool-files.ts';
import { readIdentity } from './disk/pool-scan.ts';
import { Pools } from './pools.ts';

const MIB = 1024 * 1024;
const DB = { name: 'db', universe: 0 };
let directory = '';
let scenes: PoolScene[] = [];
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-pool-'));
  scenes = [];
});
afterEach(async () => {
  for (const scene of scenes) await scene.pools.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

async function open(reached?: (step: string) => void, at = directory): Promise<PoolScene> {
  const scene = await PoolScene.open(at, { clock: systemClock, ...(reached === undefined ? {} : { reached }) });
  scenes.push(scene);
  return scene;
}

const pictureOf = (at: string): Promise<string> => PoolScene.picture(at, { clock: systemClock });

describe('each verb', () => {
  test('create makes a sparse file of the size, and a manifest that a second server could read', async () => {
    const scene = await open();
    const { manifest } = await scene.create({ clients: ['big-2'] });
    const folder = path.join(directory, 'fast/volumes', manifest.id);
    const { size, blocks, mode } = fs.statSync(path.join(folder, 'data'));
    expect([size, blocks, mode & 0o777]).toEqual([MIB, 0, 0o600]);
    const text = fs.readFileSync(path.join(folder, 'volume.json'), 'utf8');
    expect(parseManifest('volume.json', text)).toEqual(manifest);
    expect(printManifest(manifest)).toBe(text);
    expect([...scene.served.values()]).toMatchObject([
      { name: 'db', sizeBytes: MIB, clients: ['big-2'], id: manifest.id, pool: { name: 'fast' } },
    ]);
  });

  test('grow extends the file, and the old content stays', async () => {
    const scene = await open();
    const { manifest } = await scene.create();
    const data = path.join(directory, 'fast/volumes', manifest.id, 'data');
    fs.writeFileSync(data, Buffer.alloc(MIB, 7));
    await scene.verbs.grow(DB, 2 * MIB, LOCAL_ASKER, null);
    const content = fs.readFileSync(data);
    expect([content.length, content[MIB - 1], content[MIB]]).toEqual([2 * MIB, 7, 0]);
    expect(scene.served.get('db@0')?.sizeBytes).toBe(2 * MIB);
  });

  test('grow does not fill a truncated file with zeros', async () => {
    const scene = await open();
    const { manifest } = await scene.create();
    const data = path.join(directory, 'fast/volumes', manifest.id, 'data');
    fs.truncateSync(data, MIB / 2);
    await expect(scene.verbs.grow(DB, 2 * MIB, LOCAL_ASKER, null)).rejects.toThrow(/has 524288 bytes, but the volume has 1048576: restore/);
    expect(fs.statSync(data).size).toBe(MIB / 2);
  });

  test('remove keeps the content, restore brings it back, and the name is free in between', async () => {
    const scene = await open();
    const { manifest } = await scene.create();
    fs.writeFileSync(path.join(directory, 'fast/volumes', manifest.id, 'data'), Buffer.alloc(MIB, 9));
    await scene.verbs.remove(DB, LOCAL_ASKER, null);
    expect(scene.served.size).toBe(0);
    await scene.create({ sizeBytes: 2 * MIB });
    await expect(scene.verbs.restore(DB, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_EXISTS' });
    await scene.verbs.rename(DB, { name: 'other', universe: 0 }, LOCAL_ASKER, null);
    await scene.verbs.restore(DB, LOCAL_ASKER, null);
    expect([...scene.served.keys()].toSorted()).toEqual(['db@0', 'other@0']);
    expect(fs.readFileSync(path.join(directory, 'fast/volumes', manifest.id, 'data'))[0]).toBe(9);
  });

  test('a volume in use is neither renamed nor removed, and nothing changes on disk', async () => {
    const scene = await open();
    const { manifest } = await scene.create();
    scene.used.add(manifest.id);
    const before = scene.picture();
    await expect(scene.verbs.remove(DB, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_HELD' });
    await expect(scene.verbs.rename(DB, { name: 'x', universe: 0 }, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_HELD' });
    expect(await pictureOf(directory)).toBe(before);
  });
});

/** Executes a verb, copies the pool at each step, and returns the steps with what a server finds there after a stop. */
async function stops(prepare: (scene: PoolScene) => Promise<unknown>, verb: (scene: PoolScene) => Promise<unknown>) {
  const copies: { readonly step: string; readonly at: string }[] = [];
  let isCopying = false;
  const scene = await open((step) => {
    if (!isCopying) return;
    const at = path.join(directory, `..`, `${path.basename(directory)}-stop${copies.length}`);
    fs.cpSync(path.join(directory, 'fast'), path.join(at, 'fast'), { recursive: true });
    copies.push({ step, at });
  });
  await prepare(scene);
  const before = await pictureOf(directory);
  isCopying = true;
  await verb(scene);
  const after = scene.picture();
  const found: [step: string, state: string][] = [];
  for (const { step, at } of copies) {
    const picture = await pictureOf(at);
    found.push([step, picture === before ? 'before' : picture === after ? 'after' : picture]);
    // The second start finds the same, and nothing is left of the change.
    expect(await pictureOf(at), step).toBe(picture);
    const rest = fs.readdirSync(at, { recursive: true }).filter((name) => /\.new|\.purge|volumes.*removed\.json/.test(String(name)));
    expect(rest, step).toEqual([]);
    fs.rmSync(at, { recursive: true, force: true });
  }
  return found;
}

describe('a stop after any step leaves the state before or after', () => {
  test('create', async () => {
    const found = await stops(
      async () => undefined,
      (scene) => scene.create(),
    );
    expect(found).toEqual([
      ['create: folder', 'before'],
      ['create: data', 'before'],
      ['create: manifest', 'before'],
      ['create: commit', 'after'],
      ['create: durable', 'after'],
    ]);
  });

  test('grow', async () => {
    const found = await stops(
      (scene) => scene.create(),
      (scene) => scene.verbs.grow(DB, 3 * MIB, LOCAL_ASKER, null),
    );
    expect(found).toEqual([
      ['grow: data', 'before'],
      ['grow: durable data', 'before'],
      ['change: commit', 'after'],
    ]);
  });

  test('rename and set', async () => {
    const renamed = await stops(
      (scene) => scene.create(),
      (scene) => scene.verbs.rename(DB, { name: 'new', universe: 2 }, LOCAL_ASKER, null),
    );
    expect(renamed).toEqual([['change: commit', 'after']]);
  });

  test('remove', async () => {
    const found = await stops(
      (scene) => scene.create(),
      (scene) => scene.verbs.remove(DB, LOCAL_ASKER, null),
    );
    expect(found).toEqual([
      ['remove: note', 'before'],
      ['remove: commit', 'after'],
      ['remove: durable', 'after'],
    ]);
  });

  test('restore', async () => {
    const prepare = async (scene: PoolScene): Promise<void> => {
      await scene.create();
      await scene.verbs.remove(DB, LOCAL_ASKER, null);
    };
    const found = await stops(prepare, (scene) => scene.verbs.restore(DB, LOCAL_ASKER, null));
    expect(found).toEqual([
      ['restore: manifest', 'before'],
      ['restore: commit', 'after'],
      ['restore: durable', 'after'],
      ['restore: note', 'after'],
    ]);
  });
});

describe('a step that fails', () => {
  /** Fails once after this step. The picture in memory must then be the one on disk, and a served volume must have its manifest. */
  async function failing(step: string, verb: (scene: PoolScene) => Promise<unknown>, prepare?: (scene: PoolScene) => Promise<unknown>) {
    let isOn = false;
    const scene = await open((reached) => {
      if (!isOn || reached !== step) return;
      isOn = false;
      throw Object.assign(new Error('EIO'), { code: 'EIO' });
    });
    await (prepare ?? (() => scene.create()))(scene);
    isOn = true;
    await expect(verb(scene)).rejects.toMatchObject({ code: 'E_POOL' });
    expect(isOn).toBe(false);
    expect(scene.picture()).toBe(await pictureOf(directory));
    expect([...scene.served.values()].map(({ name, readonly }) => [name, readonly])).toEqual(
      [...scene.pools.states[0]!.volumes.values()].map(({ name, readonly }) => [name, readonly]),
    );
    return scene;
  }

  test('after the commit of a creation: the volume exists, and its name is not given again', async () => {
    const scene = await failing(
      'create: commit',
      (one) => one.create({}, LOCAL_ASKER, 'x'),
      async () => undefined,
    );
    await expect(scene.create()).rejects.toMatchObject({ code: 'E_EXISTS' });
    expect((await scene.create({}, LOCAL_ASKER, 'x')).manifest.name).toBe('db');
  });

  test.each(['create: folder', 'create: data', 'create: manifest'])('before it (%s): nothing exists', async (step) => {
    const scene = await failing(
      step,
      (one) => one.create(),
      async () => undefined,
    );
    expect(scene.served.size).toBe(0);
  });

  test('of a changed manifest', async () => {
    const scene = await failing('change: commit', (one) => one.verbs.set(DB, { readonly: true }, LOCAL_ASKER, null));
    expect(scene.served.get('db@0')?.readonly).toBe(true);
  });

  test.each([
    ['remove: note', 1],
    ['remove: commit', 0],
    ['remove: durable', 0],
  ])('of a removal, %s', async (step, count) => {
    const scene = await failing(step, (one) => one.verbs.remove(DB, LOCAL_ASKER, null));
    expect(scene.served.size).toBe(count);
  });

  test.each(['restore: manifest', 'restore: commit', 'restore: durable', 'restore: note'])('of a restoration, %s', async (step) => {
    await failing(
      step,
      (one) => one.verbs.restore(DB, LOCAL_ASKER, null),
      async (one) => {
        await one.create();
        await one.verbs.remove(DB, LOCAL_ASKER, null);
      },
    );
  });
});

describe('a file system that does not answer', () => {
  const until = async (isTrue: () => boolean): Promise<void> => {
    while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
  };

  test('a creation ends with E_TIMEOUT, and what it becomes is served when the file system answers', async () => {
    const clock = new FakeClock();
    let goOn: (() => void) | null = null;
    const allocate = (): Promise<void> => new Promise((resolve) => (goOn = resolve));
    const scene = await PoolScene.open(directory, { clock, allocate });
    scenes.push(scene);
    const created = expect(scene.create({ thick: true }, LOCAL_ASKER, 'x')).rejects.toMatchObject({ code: 'E_TIMEOUT' });
    await until(() => goOn !== null);
    clock.advance(POOL_CHANGE_MS + ALLOCATE_MAX_MS);
    await created;
    await expect(scene.create({ name: 'other' })).rejects.toThrow(/has not answered for/);
    // A reload neither waits nor reads the pool, and keeps its trouble.
    await (await scene.pools.prepare(scene.configs)).commit();
    expect(scene.pools.states[0]?.trouble).toMatch(/has not answered for/);
    goOn!();
    await until(() => scene.served.size > 0);
    expect([scene.pools.states[0]?.trouble, scene.served.get('db@0')?.sizeBytes]).toEqual([null, MIB]);
    expect((await scene.create({}, LOCAL_ASKER, 'x')).manifest.name).toBe('db');
  });

  test('a pool that hangs when it is opened stops no other, is opened by one attempt at a time, and is told when it answers', async () => {
    await (await PoolScene.open(directory, { clock: systemClock, names: ['fast', 'slow'] })).pools.close();
    fs.writeFileSync(path.join(directory, 'slow/pool.json'), printIdentity({ id: randomUUID(), createdMs: 0 }));
    const clock = new FakeClock();
    const slow = fs.statSync(path.join(directory, 'slow/pool.json')).ino;
    const told: string[] = [];
    let goOn: ((outcomes: 'held'[]) => void) | null = null;
    let attempts = 0;
    const pools = new Pools({
      clock,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      takeLocks: async ([request]) => {
        if (fs.fstatSync(request!.descriptor).ino !== slow) return ['held'];
        attempts++;
        return new Promise((resolve) => (goOn = resolve));
      },
      allocate: async () => undefined,
      answersAgain: (name) => void told.push(name),
      changed: () => undefined,
    });
    const configs = ['fast', 'slow'].map((name) => ({ name, path: path.join(directory, name), limitBytes: null, reserve: 0, line: 1 }));
    const troubles = () => pools.states.map(({ trouble }) => trouble);
    const opened = pools.prepare(configs);
    // Only the timer of the silent pool remains.
    await until(() => goOn !== null && clock.timersPending === 1);
    clock.advance(POOL_SILENT_MS);
    await (await opened).commit();
    expect(troubles()).toEqual([null, expect.stringContaining('has not answered')]);
    await (await pools.prepare(configs)).commit();
    expect([troubles(), attempts]).toEqual([[null, expect.stringContaining('has not answered')], 1]);
    goOn!(['held']);
    await until(() => told.length > 0);
    expect(told).toEqual(['slow']);
    const again = pools.prepare(configs);
    await until(() => attempts === 2);
    goOn!(['held']);
    await (await again).commit();
    expect(troubles()).toEqual([null, null]);
    await pools.close();
  });

  test('deleting removed volumes stops at the first one that hangs', async () => {
    const clock = new FakeClock();
    const scene = await PoolScene.open(directory, { clock });
    scenes.push(scene);
    for (const name of ['a', 'b']) {
      await scene.create({ name });
      await scene.verbs.remove({ name, universe: 0 }, LOCAL_ASKER, null);
    }
    clock.advance(REMOVED_KEPT_MS);
    let end: (() => void) | null = null;
    const purge = vi.spyOn(PoolFiles.prototype, 'purge').mockReturnValue(new Promise((resolve) => (end = resolve)));
    const purged = scene.verbs.purgeExpired();
    await until(() => purge.mock.calls.length > 0);
    clock.advance(POOL_CHANGE_MS);
    await purged;
    expect(purge).toHaveBeenCalledOnce();
    purge.mockRestore();
    end!();
  });
});

describe('what the next start could not read is refused', () => {
  test.each([
    ['clients that are no names', { clients: ['big 2'] }, null],
    ['names that are no names', { takeOver: [''] }, null],
    ['a request id with a space', {}, 'a b'],
    ['a long request id', {}, 'x'.repeat(65)],
  ])('%s', async (_, changes, request) => {
    const scene = await open();
    await expect(scene.create(changes, LOCAL_ASKER, request)).rejects.toMatchObject({ code: 'E_USAGE' });
    await scene.create();
    if (request !== null) await expect(scene.verbs.remove(DB, LOCAL_ASKER, request)).rejects.toMatchObject({ code: 'E_USAGE' });
    expect(scene.served.size).toBe(1);
    await scene.pools.close();
    const [state] = (await open()).pools.states;
    expect([state?.volumes.size, state?.findings]).toEqual([1, []]);
  });
});

describe('a repeated request (P5)', () => {
  test('is answered without being executed again, also after a restart', async () => {
    const scene = await open();
    const id = randomUUID();
    const first = await scene.create({}, LOCAL_ASKER, id);
    const again = await scene.create({}, LOCAL_ASKER, id);
    expect(again.manifest.id).toBe(first.manifest.id);
    await scene.pools.close();
    const next = await open();
    expect((await next.create({}, LOCAL_ASKER, id)).manifest.id).toBe(first.manifest.id);
    const removal = randomUUID();
    await next.verbs.remove(DB, LOCAL_ASKER, removal);
    expect((await next.verbs.remove(DB, LOCAL_ASKER, removal)).manifest.id).toBe(first.manifest.id);
  });
});

describe('pools that cannot be used', () => {
  const real = (): Pools =>
    new Pools({
      clock: systemClock,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      takeLocks,
      allocate: async () => undefined,
      answersAgain: () => undefined,
      changed: () => undefined,
    });
  const config = (name: string) => ({ name, path: path.join(directory, name), limitBytes: null, reserve: 0, line: 1 });

  test('a directory without pool.json is not written to, and the other pools are usable', async () => {
    await open();
    fs.mkdirSync(path.join(directory, 'slow'));
    const pools = real();
    await (await pools.prepare([config('slow'), config('gone')])).commit();
    const [slow, gone] = pools.states;
    expect(slow?.trouble).toMatch(/slow\/pool\.json does not exist: mount the file system of the pool, then run rsadm reload/);
    expect(gone?.trouble).toMatch(/gone\/pool\.json does not exist/);
    expect(fs.readdirSync(path.join(directory, 'slow'))).toEqual([]);
    expect(fs.existsSync(path.join(directory, 'gone'))).toBe(false);
  });

  test('a pool that another server has locked is refused, and free again when that server closes it', async (context) => {
    needPrograms(context, 'perl', 'flock');
    await (await open()).pools.close();
    const [one, other] = [real(), real()];
    await (await one.prepare([config('fast')])).commit();
    await (await other.prepare([config('fast')])).commit();
    expect([one.states[0]?.trouble, other.states[0]?.trouble]).toEqual([
      null,
      expect.stringContaining('another rssrv or another section [pool] uses the pool'),
    ]);
    await one.close();
    await (await other.prepare([config('fast')])).commit();
    expect(other.states[0]?.trouble).toBeNull();
    await other.close();
  });

  test('a section with another name keeps the pool and its lock', async (context) => {
    needPrograms(context, 'perl', 'flock');
    const scene = await open();
    const { manifest } = await scene.create();
    await scene.pools.close();
    const pools = real();
    await (await pools.prepare([config('fast')])).commit();
    await (await pools.prepare([{ ...config('fast'), name: 'quick' }])).commit();
    const [state] = pools.states;
    expect([state?.name, state?.trouble, [...state!.volumes.keys()]]).toEqual(['quick', null, [manifest.id]]);
    const other = real();
    await (await other.prepare([config('fast')])).commit();
    expect(other.states[0]?.trouble).toMatch(/another rssrv or another section \[pool\] uses the pool/);
    await pools.close();
  });

  test('a server that stops during a change keeps the lock until the change has ended', async (context) => {
    needPrograms(context, 'perl', 'flock');
    await (await open()).pools.close();
    const [one, other] = [real(), real()];
    await (await one.prepare([config('fast')])).commit();
    let goOn: (() => void) | null = null;
    const changed = one.onDisk('fast', 1_000, () => new Promise<void>((resolve) => (goOn = resolve)));
    while (goOn === null) await new Promise((resolve) => setImmediate(resolve));
    await one.close();
    await (await other.prepare([config('fast')])).commit();
    expect(other.states[0]?.trouble).toMatch(/another rssrv or another section \[pool\] uses the pool/);
    (goOn as () => void)();
    await changed;
    await new Promise((resolve) => setImmediate(resolve));
    await (await other.prepare([config('fast')])).commit();
    expect(other.states[0]?.trouble).toBeNull();
    await other.close();
  });

  test('undo after the commit of a reload releases no lock', async (context) => {
    needPrograms(context, 'perl', 'flock');
    await (await open()).pools.close();
    const [one, other] = [real(), real()];
    const change = await one.prepare([config('fast')]);
    await change.commit();
    await change.undo();
    await (await other.prepare([config('fast')])).commit();
    expect(other.states[0]?.trouble).toMatch(/another rssrv or another section \[pool\] uses the pool/);
    await one.close();
  });

  test('a copy of a pool is not used beside it', async (context) => {
    needPrograms(context, 'perl', 'flock');
    const scene = await open();
    await scene.create();
    await scene.pools.close();
    fs.cpSync(path.join(directory, 'fast'), path.join(directory, 'copy'), { recursive: true });
    const pools = real();
    await (await pools.prepare([config('fast')])).commit();
    await (await pools.prepare([config('copy'), config('fast')])).commit();
    const [copy, fast] = pools.states;
    expect([copy?.trouble, copy?.volumes.size, fast?.trouble]).toEqual([
      expect.stringMatching(/it has the id of the pool at .*fast/),
      0,
      null,
    ]);
    await pools.close();
  });

  test.each([
    ['was unmounted', (pool: string) => fs.mkdirSync(pool)],
    ['has another pool.json', (pool: string) => fs.cpSync(`${pool}.away`, pool, { recursive: true })],
  ])('a pool that %s is not written to', async (_, replace) => {
    const scene = await open();
    await scene.create();
    const pool = path.join(directory, 'fast');
    fs.renameSync(pool, `${pool}.away`);
    replace(pool);
    const before = fs.readdirSync(pool, { recursive: true });
    await expect(scene.verbs.set(DB, { readonly: true }, LOCAL_ASKER, null)).rejects.toThrow(/pool\.json is not the file that was opened/);
    await expect(scene.create({ name: 'x' })).rejects.toMatchObject({ code: 'E_POOL' });
    expect([fs.readdirSync(pool, { recursive: true }), [...scene.served.keys()]]).toEqual([before, ['db@0']]);
  });

  test('a reload reads a pool again that could not be read', async () => {
    const scene = await open();
    const { manifest } = await scene.create();
    const [folder, away] = [`fast/volumes/${manifest.id}`, 'away'].map((name) => path.join(directory, name));
    fs.renameSync(folder!, away!);
    await expect(scene.verbs.set(DB, { readonly: true }, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_POOL' });
    expect([scene.pools.states[0]?.trouble, [...scene.served.keys()]]).toEqual([expect.stringContaining('cannot be read'), ['db@0']]);
    fs.rmSync(folder!, { recursive: true, force: true });
    fs.renameSync(away!, folder!);
    await (await scene.pools.prepare(scene.configs)).commit();
    expect([scene.pools.states[0]?.trouble, scene.pools.states[0]?.volumes.size]).toEqual([null, 1]);
  });

  test('a kill while a pool is made leaves no damaged pool', async () => {
    const at = path.join(directory, 'new');
    fs.mkdirSync(at);
    const stop = (): never => {
      throw new Error('stop');
    };
    const files = new PoolFiles(at, { allocate: async () => undefined, reached: (step) => void (step === 'pool: written' && stop()) });
    await expect(files.makePool({ id: randomUUID(), createdMs: 0 })).rejects.toThrow('stop');
    expect(await readIdentity(at)).toBeNull();
    const next = new PoolFiles(at, { allocate: async () => undefined });
    await next.makePool({ id: randomUUID(), createdMs: 0 });
    await expect(next.makePool({ id: randomUUID(), createdMs: 0 })).rejects.toMatchObject({ code: 'EEXIST' });
    expect(fs.readdirSync(at).toSorted()).toEqual(['pool.json', 'removed', 'volumes']);
  });

  test.each([
    ['no JSON', '{', /pool\.json is damaged \(it is not JSON\)/],
    ['a newer format', '{"version": 2}', /has format 2, and this rssrv knows formats up to 1/],
    ['no id', '{"version": 1, "createdMs": 0}', /id is not a UUID/],
  ])('pool.json with %s is refused and stays as it is', async (_, text, trouble) => {
    await (await open()).pools.close();
    const file = path.join(directory, 'fast/pool.json');
    fs.writeFileSync(file, text);
    const pools = real();
    await (await pools.prepare([config('fast')])).commit();
    expect(pools.states[0]?.trouble).toMatch(trouble);
    expect(fs.readFileSync(file, 'utf8')).toBe(text);
  });

  test('what no manifest explains is reported and stays', async () => {
    const scene = await open();
    const { manifest } = await scene.create();
    await scene.create({ name: 'bad' });
    const bad = [...scene.served.values()].find(({ name }) => name === 'bad')!;
    const at = (name: string): string => path.join(directory, 'fast', name);
    fs.writeFileSync(at(`volumes/${bad.id}/volume.json`), '{');
    for (const name of ['notes.txt', 'volumes/notes', `volumes/${manifest.id}/more`]) fs.writeFileSync(at(name), '');
    await scene.pools.close();
    const [state] = (await open()).pools.states;
    expect([...state!.volumes.keys()]).toEqual([manifest.id]);
    expect(state!.findings.map((finding) => finding.replaceAll(directory, ''))).toEqual([
      `/fast/volumes/${manifest.id}/more does not belong to the volume`,
      `/fast/volumes/${bad.id}/volume.json is damaged (it is not JSON): restore it from a backup of the pool`,
      '/fast/volumes/notes does not belong to the pool',
      '/fast/notes.txt does not belong to the pool',
    ]);
    expect(fs.existsSync(at(`volumes/${bad.id}/data`))).toBe(true);
  });
});

describe('a check of a pool in use', () => {
  test('finds what came and what is gone, and forgets what was put right', async () => {
    const scene = await open();
    const { manifest } = await scene.create();
    const findings = async (): Promise<string[]> => {
      await scene.pools.check('fast');
      return scene.pools.states[0]!.findings.map((finding) => finding.replaceAll(directory, ''));
    };
    expect(await findings()).toEqual([]);
    const [stray, folder] = [path.join(directory, 'fast/notes.txt'), path.join(directory, 'fast/volumes', manifest.id)];
    fs.writeFileSync(stray, '');
    fs.renameSync(folder, `${directory}/elsewhere`);
    expect(await findings()).toEqual([
      `/fast/volumes/${manifest.id} of volume db is missing: restore it from a backup of the pool`,
      '/fast/notes.txt does not belong to the pool',
    ]);
    expect([...scene.pools.states[0]!.volumes.keys()], 'the volume is served as before').toEqual([manifest.id]);
    fs.rmSync(stray);
    fs.renameSync(`${directory}/elsewhere`, folder);
    expect(await findings()).toEqual([]);
  });

  test('changes nothing on disk, also not what a stopped change left', async () => {
    const scene = await open();
    await scene.create();
    const left = path.join(directory, 'fast/volumes/.new-00000000-0000-4000-8000-00000000000b');
    fs.mkdirSync(left);
    await scene.pools.check('fast');
    expect(fs.existsSync(left)).toBe(true);
    expect(scene.pools.states[0]!.findings).toEqual([]);
  });
});

test('a removed volume whose name is in use again is restored after the other one was renamed', async () => {
  const scene = await open();
  const { manifest } = await scene.create();
  await scene.verbs.remove(DB, LOCAL_ASKER, null);
  await scene.create();
  await expect(scene.verbs.restore(DB, LOCAL_ASKER, null)).rejects.toThrow('Volume db exists: rename that one first');
  await scene.verbs.rename(DB, { name: 'db2', universe: 0 }, LOCAL_ASKER, null);
  expect((await scene.verbs.restore(DB, LOCAL_ASKER, null)).manifest.id).toBe(manifest.id);
});
