// Tests pools that cannot be used: file systems that do not answer, a missing or damaged pool.json, locks of other servers, copies of
// pools, and unexplained files. pool-stops.test.ts stops the server during changes.

import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { needPrograms } from '@rsio/base/testing/needs';
import { describe, expect, test, vi } from 'vitest';
import { PoolScene } from '../testing/pool-scene.ts';
import { takeLocks } from '../storage/locks/file-locks.ts';
import { LOCAL_ASKER } from './asker.ts';
import { ALLOCATE_MAX_MS, POOL_CHANGE_MS, POOL_SILENT_MS, REMOVED_KEPT_MS } from './limits.ts';
import { printIdentity } from './disk/manifest.ts';
import { PoolFiles } from './disk/pool-files.ts';
import { readIdentity } from './disk/pool-scan.ts';
import { Pools } from './pools.ts';
import { DB, MIB, directory, open, scenes, usePoolDirectory } from '../testing/pool-directory.ts';
import { NO_LEDGERS } from '../testing/no-ledgers.ts';

usePoolDirectory();

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
    // A reload does not wait for the silent pool, does not read it, and keeps its `trouble`.
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
      ownershipOf: () => null,
      storageFailed: () => undefined,
      ledgers: NO_LEDGERS,
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
    const configs = ['fast', 'slow'].map((name) => ({
      name,
      path: path.join(directory, name),
      limitBytes: null,
      reserve: 0,
      overcommit: 'warn' as const,
      shared: null,
      line: 1,
    }));
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

  test('a lock that is not answered in time is said to be that, not a missing program', async () => {
    await (await PoolScene.open(directory, { clock: systemClock })).pools.close();
    const pools = new Pools({
      ownershipOf: () => null,
      storageFailed: () => undefined,
      ledgers: NO_LEDGERS,
      clock: systemClock,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      takeLocks: async () => ['silent'],
      allocate: async () => undefined,
      answersAgain: () => undefined,
      changed: () => undefined,
    });
    await (
      await pools.prepare([
        { name: 'fast', path: path.join(directory, 'fast'), limitBytes: null, reserve: 0, overcommit: 'warn', shared: null, line: 1 },
      ])
    ).commit();
    expect(pools.states[0]?.trouble).toMatch(/pool\.json was not locked within 5s: check its file system, then reload$/);
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

describe('pools that cannot be used', () => {
  const real = (): Pools =>
    new Pools({
      ownershipOf: () => null,
      storageFailed: () => undefined,
      ledgers: NO_LEDGERS,
      clock: systemClock,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      takeLocks,
      allocate: async () => undefined,
      answersAgain: () => undefined,
      changed: () => undefined,
    });
  const config = (name: string) => ({
    name,
    path: path.join(directory, name),
    limitBytes: null,
    reserve: 0,
    overcommit: 'warn' as const,
    shared: null,
    line: 1,
  });

  test('a directory without pool.json is not written to, and the other pools are usable', async () => {
    await open();
    fs.mkdirSync(path.join(directory, 'slow'));
    const pools = real();
    await (await pools.prepare([config('slow'), config('gone')])).commit();
    const [slow, gone] = pools.states;
    expect(slow?.trouble).toMatch(
      /slow\/pool\.json does not exist: mount the file system of the pool, then run rsadm reload; if its disk is lost for good, rsadm pool remove slow forgets it/,
    );
    expect(gone?.trouble).toMatch(/gone\/pool\.json does not exist/);
    expect(fs.readdirSync(path.join(directory, 'slow'))).toEqual([]);
    expect(fs.existsSync(path.join(directory, 'gone'))).toBe(false);
  });

  test('a pool that another server has locked is refused, and free again when that server closes it', async (context) => {
    needPrograms(context, 'flock');
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
    needPrograms(context, 'flock');
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
    needPrograms(context, 'flock');
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
    needPrograms(context, 'flock');
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
    needPrograms(context, 'flock');
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
    const ledger = fs.readFileSync(path.join(at, 'ledger.json'), 'utf8');
    await expect(next.makePool({ id: randomUUID(), createdMs: 0 })).rejects.toMatchObject({ code: 'EEXIST' });
    expect(fs.readFileSync(path.join(at, 'ledger.json'), 'utf8')).toBe(ledger);
    expect(fs.readdirSync(at).toSorted()).toEqual(['ledger.json', 'ledger.spare', 'pool.json', 'removed', 'volumes']);
  });

  test.each([
    ['no JSON', '{', /pool\.json is damaged \(it is not JSON\)/],
    ['a newer format', '{"version": 3}', /has format 3, and this rssrv knows formats up to 2/],
    ['no id', '{"version": 1, "createdMs": 0}', /id is missing/],
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

test('a thick volume that cannot grow, because the pool is full, keeps its file', async () => {
  let isFull = false;
  const allocate = async (): Promise<void> => {
    if (isFull) throw Object.assign(new Error('No space left on device'), { code: 'ENOSPC' });
  };
  const scene = await PoolScene.open(directory, { clock: systemClock, allocate });
  scenes.push(scene);
  const { manifest } = await scene.create({ thick: true });
  const sizeOf = (): number => fs.statSync(path.join(directory, 'fast', 'volumes', manifest.id, 'data')).size;
  isFull = true;
  await expect(scene.verbs.grow(DB, 2 * MIB, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_POOL' });
  expect(sizeOf()).toBe(MIB);
  isFull = false;
  await scene.verbs.grow(DB, 2 * MIB, LOCAL_ASKER, null);
  expect(sizeOf()).toBe(2 * MIB);
});
