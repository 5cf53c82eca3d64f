// Tests volumes of several files in several pools. The server stops at every step of every change; at the next start, either all pools can
// be opened, or one pool is missing. Other tests have steps that fail, absent pools, and records that cannot be read, and check what each
// pool has promised. pools-random.test.ts tests random sequences of changes. Rules: G19.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { POOL_IDS, PoolScene, type SceneOptions } from '../testing/pool-scene.ts';
import { FailingStep, stopped, type Work } from '../testing/stopped-verbs.ts';
import { Asker, LOCAL_ASKER } from './asker.ts';
import { promisedBytes } from './catalogue.ts';
import { otherParts, parseManifest, partSizes } from './disk/manifest.ts';
import { REMOVED_KEPT_MS } from './limits.ts';

const MIB = 1024 * 1024;
const DB = { name: 'db', universe: 0 };
const NAMES = ['a', 'b', 'c'];
const STRIPE = { pools: ['a', 'b'], chunkBytes: 65_536 };
const CONCAT = { pools: ['a', 'b'] };
let directory = '';
let scenes: PoolScene[] = [];
let passedMs = 0;
const clock = { ...systemClock, wallMs: () => passedMs, monotonicMs: () => passedMs };

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-files-'));
  [scenes, passedMs] = [[], 0];
});
afterEach(async () => {
  for (const scene of scenes) await scene.pools.close();
  await removeFolder(directory);
});

async function open(options: Partial<SceneOptions> = {}, at = directory): Promise<PoolScene> {
  const scene = await PoolScene.open(at, { clock, names: NAMES, ...options });
  scenes.push(scene);
  return scene;
}

/** Lets a server see the time pass for which it keeps removed volumes. */
async function expire(scene: PoolScene): Promise<void> {
  await scene.verbs.purgeExpired();
  passedMs += REMOVED_KEPT_MS;
  await scene.verbs.purgeExpired();
}

const pictureOf = (at = directory, absent: string[] = []): Promise<string> => PoolScene.picture(at, { clock, names: NAMES, absent });
const file = (pool: string, fileId: string, at = directory): string =>
  [`${at}/${pool}/volumes/${fileId}/data`, `${at}/${pool}/parts/${fileId}/data`].find((one) => fs.existsSync(one)) ?? '';
const sizesOf = (scene: PoolScene): [string, number][] =>
  (scene.served.get('db@0')?.layout?.parts ?? []).map(({ pool, path: at, sizeBytes }) => {
    expect(fs.statSync(at ?? '').size).toBe(sizeBytes);
    return [pool ?? '-', sizeBytes];
  });
const promised = (scene: PoolScene): number[] => scene.pools.states.map(promisedBytes);

describe('each verb', () => {
  test('a stripe has a file of whole chunks in each pool, and only its home names them', async () => {
    const scene = await open();
    const { manifest } = await scene.create({ ...STRIPE, sizeBytes: MIB + 512 });
    expect(sizesOf(scene)).toEqual([
      ['a', 9 * 65_536],
      ['b', 9 * 65_536],
    ]);
    const text = fs.readFileSync(path.join(directory, 'a/volumes', manifest.id, 'volume.json'), 'utf8');
    expect([parseManifest('', text), JSON.parse(text).version]).toEqual([manifest, 2]);
    expect(manifest.stamps).toHaveLength(2);
    expect(fs.readdirSync(path.join(directory, 'b/volumes'))).toEqual([]);
    expect(promised(scene)).toEqual([9 * 65_536, 9 * 65_536, 0]);
    expect(scene.picture()).not.toContain('finding');
  });

  test('a stripe grows evenly; a concat grows at its end, or goes on in another pool', async () => {
    const scene = await open();
    await scene.create({ ...STRIPE, sizeBytes: MIB });
    await scene.verbs.grow(DB, 3 * MIB, LOCAL_ASKER, null);
    expect(sizesOf(scene)).toEqual([
      ['a', 1.5 * MIB],
      ['b', 1.5 * MIB],
    ]);
    await expect(scene.verbs.grow(DB, 4 * MIB, LOCAL_ASKER, null, 'c')).rejects.toThrow('Volume db is no concat volume: give no pool');
    await scene.verbs.remove(DB, LOCAL_ASKER, null);
    await scene.create({ ...CONCAT, sizeBytes: 3 * MIB });
    await scene.verbs.grow(DB, 4 * MIB, LOCAL_ASKER, null);
    await scene.verbs.grow(DB, 5 * MIB, LOCAL_ASKER, null, 'b');
    await scene.verbs.grow(DB, 8 * MIB, LOCAL_ASKER, null, 'c');
    await scene.verbs.grow(DB, 9 * MIB, LOCAL_ASKER, null, 'a');
    const sizes = sizesOf(scene);
    expect(sizes.map(([pool]) => pool)).toEqual(['a', 'b', 'c', 'a']);
    expect(sizes.slice(2)).toEqual([
      ['c', 3 * MIB],
      ['a', MIB],
    ]);
    expect(sizes.reduce((sum, [, bytes]) => sum + bytes, 0)).toBe(9 * MIB);
    expect(await pictureOf()).toBe(scene.picture());
  });

  test('remove and restore keep every file, and a removed volume counts in each of its pools until it is deleted for good', async () => {
    const scene = await open();
    const { manifest } = await scene.create({ ...STRIPE, sizeBytes: MIB });
    const [part] = otherParts(manifest);
    fs.writeFileSync(file('b', part!.fileId), Buffer.alloc(MIB / 2, 9));
    await scene.verbs.remove(DB, LOCAL_ASKER, null);
    expect([scene.served.size, promised(scene)]).toEqual([0, [MIB / 2, MIB / 2, 0]]);
    await scene.verbs.restore(DB, LOCAL_ASKER, null);
    expect(promised(scene)).toEqual([MIB / 2, MIB / 2, 0]);
    expect(fs.readFileSync(file('b', part!.fileId))[0]).toBe(9);
    await scene.verbs.remove(DB, LOCAL_ASKER, null);
    await scene.verbs.purgeRemoved({ volume: null, id: null, olderMs: 0 }, LOCAL_ASKER);
    expect([promised(scene), fs.existsSync(file('b', part!.fileId))]).toEqual([[0, 0, 0], false]);
  });

  test('a file that is replaced is confirmed by its own stamp', async () => {
    const scene = await open();
    const { manifest } = await scene.create({ ...STRIPE, sizeBytes: MIB });
    const at = file('b', otherParts(manifest)[0]!.fileId);
    fs.copyFileSync(at, `${at}.copy`);
    fs.renameSync(`${at}.copy`, at);
    const { ino, birthtimeNs } = fs.statSync(at, { bigint: true });
    const stamp = `i${ino}.b${birthtimeNs}`;
    const { manifest: now } = await scene.verbs.set(DB, { sameContent: stamp }, LOCAL_ASKER, null);
    expect(now.stamps).toEqual([manifest.stamps[0], stamp]);
    await expect(scene.verbs.set(DB, { sameContent: 'i1.b1' }, LOCAL_ASKER, null)).rejects.toThrow(
      'No file of volume db has the stamp i1.b1',
    );
  });

  test('thick allocates in all pools, and a failure leaves nothing in any of them', async () => {
    const allocated: string[] = [];
    let fails = false;
    const scene = await open({
      allocate: async (at, from, to) => {
        if (fails && at.includes('/b/')) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
        allocated.push(`${path.relative(directory, at).split('/')[0]} ${from}-${to}`);
      },
    });
    await scene.create({ ...STRIPE, sizeBytes: MIB, thick: true });
    await scene.verbs.grow(DB, 2 * MIB, LOCAL_ASKER, null);
    expect(allocated.toSorted()).toEqual(['a 0-524288', 'a 524288-1048576', 'b 0-524288', 'b 524288-1048576']);
    const before = scene.picture();
    fails = true;
    await expect(scene.create({ ...STRIPE, name: 'more', thick: true })).rejects.toThrow(/^Pool b at .* cannot be changed \(ENOSPC\)/);
    await expect(scene.create({ ...CONCAT, name: 'more', thick: true })).rejects.toThrow(/^Pool b at/);
    expect([scene.picture(), await pictureOf()]).toEqual([before, before]);
    expect(fs.readdirSync(path.join(directory, 'b/parts'))).toHaveLength(1);
  });
});

describe('refusals', () => {
  test.each([
    [{ pools: ['a'], chunkBytes: 65_536 }, 'A volume of several files needs 2 to 16 pools, and 1 are given'],
    [{ pools: ['a', 'a'] }, 'Pool "a" is given twice: give each pool once'],
    [{ pools: ['a', 'x'] }, 'No pool "x": there are a, b, c'],
    [{ pools: ['a', 'b'], pool: 'a' }, 'Both a pool and several pools are given: give one of them'],
    [{ pools: ['a', 'b'], chunkBytes: 65_537 }, 'Wrong stripe 65537: allowed is a power of two from 4k to 64m'],
    [{ chunkBytes: 65_536 }, 'A stripe needs at least two pools: name them'],
    [{ ...CONCAT, sizeBytes: 512 }, 'Wrong size 512: it is too small for 2 files'],
  ])('%j', async (request, message) => {
    const scene = await open();
    await expect(scene.create(request)).rejects.toThrow(message);
    expect(await pictureOf()).not.toContain('part');
  });

  test('the limit of each pool counts the files in it, and the refusal names the pool with numbers', async () => {
    const scene = await open({ limitBytes: 4 * MIB });
    await scene.create({ ...STRIPE, sizeBytes: 6 * MIB });
    await expect(scene.create({ name: 'x', pools: ['c', 'b'], chunkBytes: 65_536, sizeBytes: 4 * MIB })).rejects.toThrow(
      /^Pool b has no room: asked 2m, free .*, promised 3m, limit 4m: remove a volume, use another pool, or raise limit/,
    );
    await expect(scene.verbs.grow(DB, 9 * MIB, LOCAL_ASKER, null)).rejects.toThrow(/^Pool a has no room: asked 1536k, free/);
    // Pool b has room for 1 MiB. The file of the concat in pool b therefore has this size, and the file in pool c has the rest.
    const { manifest } = await scene.create({ name: 'y', pools: ['b', 'c'], sizeBytes: 4 * MIB });
    expect(partSizes(manifest)).toEqual([MIB, 3 * MIB]);
    await expect(scene.create({ name: 'z', pools: ['b', 'c'], sizeBytes: 2 * MIB })).rejects.toThrow(/^Pool b has no room: asked 1m/);
    expect(promised(scene)).toEqual([3 * MIB, 4 * MIB, 3 * MIB]);
  });

  test('a client that may not use one of the pools changes nothing, also while that pool is absent', async () => {
    const asker = new Asker('big-2', { role: 'manage', pools: ['a', 'c'], limitBytes: null });
    const scene = await open();
    await expect(scene.create(STRIPE, asker)).rejects.toThrow('Client big-2 may not change pool b: its pools are a, c');
    await scene.create(STRIPE);
    const all = [
      (one: PoolScene) => one.verbs.grow(DB, 2 * MIB, asker, null),
      (one: PoolScene) => one.verbs.set(DB, { readonly: true }, asker, null),
      (one: PoolScene) => one.verbs.rename(DB, { name: 'x', universe: 0 }, asker, null),
      (one: PoolScene) => one.verbs.remove(DB, asker, null),
    ];
    for (const verb of all) await expect(verb(scene)).rejects.toMatchObject({ code: 'E_RIGHTS' });
    await scene.pools.close();
    fs.renameSync(path.join(directory, 'b'), path.join(directory, 'away'));
    const without = await open({ absent: ['b'] });
    for (const verb of all) await expect(verb(without)).rejects.toThrow(`may not change pool id ${POOL_IDS[1]}, which is not open`);
    await without.verbs.remove(DB, LOCAL_ASKER, null);
    await expect(without.verbs.restore(DB, asker, null)).rejects.toMatchObject({ code: 'E_RIGHTS' });
  });
});

const stops = (...[prepare, verb]: readonly [Work, Work]) => stopped(NAMES, prepare, verb, [null, ...NAMES]);

describe('a stop after any step leaves the state before or after, in all pools, also if one of them is absent at the next start', () => {
  const newPart = ['part: folder', 'part: record', 'part: data', 'part: durable'];

  test('create', async () => {
    const found = await stops(
      async () => undefined,
      (scene) => scene.create({ pools: NAMES, chunkBytes: 4096 }),
    );
    const steps = [...newPart, ...newPart, 'create: folder', 'create: data', 'create: manifest'];
    expect(found).toEqual([
      ...steps.map((step) => [step, 'before']),
      ['create: commit', 'after'],
      ['create: durable', 'after'],
      ['part: confirmed', 'after'],
      ['part: confirmed', 'after'],
    ]);
  });

  test('grow a stripe', async () => {
    const found = await stops(
      (scene) => scene.create(STRIPE),
      (scene) => scene.verbs.grow(DB, 3 * MIB, LOCAL_ASKER, null),
    );
    expect(found).toEqual([
      ['grow: data', 'before'],
      ['grow: durable data', 'before'],
      ['grow: record', 'before'],
      ['grow: data', 'before'],
      ['grow: durable data', 'before'],
      ['change: commit', 'after'],
    ]);
  });

  test('grow a concat at its end, and in another pool', async () => {
    const atEnd = await stops(
      (scene) => scene.create(CONCAT),
      (scene) => scene.verbs.grow(DB, 3 * MIB, LOCAL_ASKER, null),
    );
    expect(atEnd.map(([, state]) => state)).toEqual(['before', 'before', 'before', 'after']);
    const elsewhere = await stops(
      (scene) => scene.create(CONCAT),
      (scene) => scene.verbs.grow(DB, 3 * MIB, LOCAL_ASKER, null, 'c'),
    );
    expect(elsewhere).toEqual([...newPart.map((step) => [step, 'before']), ['change: commit', 'after'], ['part: confirmed', 'after']]);
  });

  test('rename, remove and restore', async () => {
    const removed = await stops(
      async (scene) => {
        await scene.create(STRIPE);
        await scene.verbs.rename(DB, { name: 'x', universe: 0 }, LOCAL_ASKER, null);
        await scene.verbs.rename({ name: 'x', universe: 0 }, DB, LOCAL_ASKER, null);
      },
      (scene) => scene.verbs.remove(DB, LOCAL_ASKER, null),
    );
    expect(removed.map(([, state]) => state)).toEqual(['before', 'after', 'after']);
    const restored = await stops(
      async (scene) => {
        await scene.create(STRIPE);
        await scene.verbs.remove(DB, LOCAL_ASKER, null);
      },
      (scene) => scene.verbs.restore(DB, LOCAL_ASKER, null),
    );
    expect(restored.map(([, state]) => state)).toEqual(['before', 'after', 'after', 'after']);
  });

  test('the end of a removed volume', async () => {
    const found = await stops(
      async (scene, later) => {
        await scene.create({ pools: NAMES, chunkBytes: 4096 });
        await scene.verbs.remove(DB, LOCAL_ASKER, null);
        later(REMOVED_KEPT_MS);
      },
      (scene) => scene.verbs.purgeExpired(),
    );
    expect(found).toEqual(
      ['purge: commit', 'purge: deleted', 'part: purged', 'part: deleted', 'part: purged', 'part: deleted', 'purge: forgotten'].map(
        (step) => [step, 'after'],
      ),
    );
  });
});

describe('a step that fails', () => {
  async function failing(step: string, prepare: (scene: PoolScene) => Promise<unknown>, verb: (scene: PoolScene) => Promise<unknown>) {
    const failure = new FailingStep(step);
    const scene = await open({ reached: failure.reached });
    await prepare(scene);
    failure.isOn = true;
    await expect(verb(scene)).rejects.toMatchObject({ code: 'E_POOL' });
    expect([failure.isOn, await pictureOf()]).toEqual([false, scene.picture()]);
    expect(scene.picture()).not.toMatch(/new |finding|purging/);
    const served = [...scene.served.values()].map(({ sizeBytes }) => sizeBytes);
    expect(served).toEqual([...scene.pools.states[0]!.volumes.values()].map(({ sizeBytes }) => sizeBytes));
    return served;
  }

  test.each([
    ['part: folder', 0],
    ['part: record', 0],
    ['part: durable', 0],
    ['create: manifest', 0],
    ['create: commit', 1],
    ['create: durable', 1],
  ])('of a creation, %s', async (step, count) => {
    expect(
      await failing(
        step,
        async () => undefined,
        (scene) => scene.create(STRIPE),
      ),
    ).toHaveLength(count);
  });

  test.each([
    ['grow: record', MIB],
    ['grow: durable data', MIB],
    ['change: commit', 3 * MIB],
  ])('of growth, %s', async (step, sizeBytes) => {
    const grow = (scene: PoolScene): Promise<unknown> => scene.verbs.grow(DB, 3 * MIB, LOCAL_ASKER, null);
    expect(await failing(step, (scene) => scene.create(STRIPE), grow)).toEqual([sizeBytes]);
  });

  test('growth in another pool that cannot come into force is taken back, with its file', async () => {
    let isInUse = false;
    const scene = await open({
      apply: async (_was, now) => {
        if (isInUse && (now?.layout?.parts.length ?? 0) > 2) throw new Error('in use');
      },
    });
    await scene.create(CONCAT);
    const before = scene.picture();
    isInUse = true;
    await expect(scene.verbs.grow(DB, 3 * MIB, LOCAL_ASKER, null, 'c')).rejects.toThrow('in use');
    expect([scene.picture(), await pictureOf()]).toEqual([before, before]);
    expect(fs.readdirSync(path.join(directory, 'c/parts'))).toEqual([]);
  });
});

describe('what is absent or cannot be read', () => {
  test('a volume says which pool it lacks, and is there again with it; the other pool still counts its part', async () => {
    const scene = await open();
    await scene.create(STRIPE);
    await scene.pools.close();
    fs.renameSync(path.join(directory, 'b'), path.join(directory, 'away'));
    const without = await open({ absent: ['b'] });
    expect(without.served.get('db@0')?.layout?.parts[1]).toMatchObject({
      path: null,
      pool: null,
      trouble: `pool id ${POOL_IDS[1]}, which has a file of the volume, is not open (not open: b): mount it, then run rsadm reload`,
    });
    await expect(without.verbs.grow(DB, 2 * MIB, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_POOL' });
    await without.verbs.rename(DB, { name: 'x', universe: 0 }, LOCAL_ASKER, null);
    await without.pools.close();
    fs.renameSync(path.join(directory, 'away'), path.join(directory, 'b'));
    fs.renameSync(path.join(directory, 'a'), path.join(directory, 'away'));
    const homeless = await open({ absent: ['a'] });
    expect([homeless.served.size, promised(homeless)]).toEqual([0, [0, MIB / 2, 0]]);
    expect(homeless.picture()).toContain(`of pool id ${POOL_IDS[0]}, which is not open: mount that pool, and add its section [pool]`);
    await homeless.pools.close();
    fs.renameSync(path.join(directory, 'away'), path.join(directory, 'a'));
    const whole = await open();
    expect(whole.served.get('x@0')?.layout?.parts.map(({ trouble }) => trouble)).toEqual([null, null]);
  });

  test('a volume whose time is over waits for an absent pool, and no content of it is left anywhere else', async () => {
    const scene = await open();
    const { manifest } = await scene.create(STRIPE);
    await scene.verbs.remove(DB, LOCAL_ASKER, null);
    await scene.pools.close();
    fs.renameSync(path.join(directory, 'b'), path.join(directory, 'away'));
    const without = await open({ absent: ['b'] });
    await expire(without);
    expect(fs.readdirSync(path.join(directory, 'a/removed', `.purge-${manifest.id}`))).toEqual(['removed.json', 'volume.json']);
    await expect(without.verbs.restore(DB, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_UNKNOWN_VOLUME' });
    await without.pools.close();
    await pictureOf(directory, ['b']);
    expect(fs.readdirSync(path.join(directory, 'a/removed'))).toEqual([`.purge-${manifest.id}`]);
    fs.renameSync(path.join(directory, 'away'), path.join(directory, 'b'));
    await pictureOf();
    expect([fs.readdirSync(path.join(directory, 'a/removed')), fs.readdirSync(path.join(directory, 'b/parts'))]).toEqual([[], []]);
  });

  test.each(['part.json', 'volume.json'])(
    'a damaged %s loses nothing: the part stays, the volume is not served, and both are reported',
    async (name) => {
      const scene = await open();
      const { manifest } = await scene.create(STRIPE);
      const { fileId } = otherParts(manifest)[0]!;
      await scene.pools.close();
      const at = path.join(directory, name === 'part.json' ? `b/parts/${fileId}` : `a/volumes/${manifest.id}`, name);
      const text = fs.readFileSync(at);
      fs.writeFileSync(at, '{');
      const damaged = await open();
      expect(damaged.picture()).toContain(`finding ${at} is damaged (it is not JSON)`);
      expect(damaged.served.get('db@0')?.layout?.parts[1]?.path ?? null).toBeNull();
      await damaged.verbs.purgeExpired();
      await damaged.pools.close();
      fs.writeFileSync(at, text);
      const whole = await open();
      expect(whole.picture()).not.toContain('finding');
      expect(sizesOf(whole)).toHaveLength(2);
    },
  );

  test('a new part is not deleted while the manifest that may name it cannot be read', async () => {
    const scene = await open();
    const { manifest } = await scene.create(STRIPE);
    const { fileId } = otherParts(manifest)[0]!;
    await scene.pools.close();
    const parts = path.join(directory, 'b/parts');
    fs.renameSync(path.join(parts, fileId), path.join(parts, `.new-${fileId}`));
    const at = path.join(directory, 'a/volumes', manifest.id, 'volume.json');
    const text = fs.readFileSync(at);
    fs.writeFileSync(at, '{');
    await pictureOf();
    expect(fs.readdirSync(parts)).toEqual([`.new-${fileId}`]);
    fs.writeFileSync(at, text);
    await pictureOf();
    expect(fs.readdirSync(parts)).toEqual([fileId]);
  });

  test('a part of another pool or volume, and one that no volume has, are reported and never deleted or used', async () => {
    const scene = await open();
    const { manifest } = await scene.create(STRIPE);
    const { fileId } = otherParts(manifest)[0]!;
    await scene.create({ ...STRIPE, name: 'other' });
    await scene.pools.close();
    // The part was copied into pool c, and pool a has lost its volume.
    fs.cpSync(path.join(directory, 'b/parts', fileId), path.join(directory, 'c/parts', fileId), { recursive: true });
    fs.renameSync(path.join(directory, 'a/volumes', manifest.id), path.join(directory, 'lost'));
    const found = await open();
    expect(found.picture()).toContain(`belongs to part ${fileId} of pool ${POOL_IDS[1]}, not to this folder`);
    expect(found.picture()).toContain(`belongs to volume id ${manifest.id}, which pool a does not have with this part`);
    expect([...found.served.keys()]).toEqual(['other@0']);
    expect(fs.readdirSync(path.join(directory, 'b/parts'))).toHaveLength(2);
    expect(fs.readdirSync(path.join(directory, 'c/parts'))).toEqual([fileId]);
  });

  test('a file that is longer than the manifest says, as after a stop during growth, is served', async () => {
    const scene = await open();
    const { manifest } = await scene.create(STRIPE);
    await scene.pools.close();
    fs.truncateSync(file('b', otherParts(manifest)[0]!.fileId), MIB);
    const again = await open();
    expect(again.served.get('db@0')?.layout?.parts.map(({ sizeBytes }) => sizeBytes)).toEqual([MIB / 2, MIB / 2]);
  });
});
