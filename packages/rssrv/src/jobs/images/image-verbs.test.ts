// Tests commands about images: the content of images; refusals; the renaming, growth, removal and copying of the volume; repeated requests;
// and failures of a step or of the moment. image-stops.test.ts tests stops of the server. Rules: G31.

import fs from 'node:fs';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { describe, expect, test } from 'vitest';
import { Asker, LOCAL_ASKER } from '../../pools/asker.ts';
import type { Found } from '../../pools/catalogue.ts';
import { NO_HOLD } from '../../testing/plain-clones.ts';
import { DB, directory, MIB, open, pictureOf, scenes, usePoolDirectory } from '../../testing/pool-directory.ts';
import { PoolScene, type SceneOptions } from '../../testing/pool-scene.ts';
import { sourceOf } from './image-rules.ts';
import { IMAGES_AT_ONCE_MAX } from '../limits.ts';

usePoolDirectory();

const IMAGE = { name: 'db', universe: 1 };
const MANAGER = new Asker('big-2', { role: 'manage', pools: null, limitBytes: null });

function find(scene: PoolScene, { name, universe }: { name: string; universe: number }): Found {
  for (const pool of scene.pools.states)
    for (const manifest of pool.volumes.values()) if (manifest.name === name && manifest.universe === universe) return { pool, manifest };
  throw new Error(`No volume ${name}@${universe}`);
}

const dataOf = ({ pool, manifest }: Found): string => path.join(pool.path, 'volumes', manifest.id, 'data');

function fill(scene: PoolScene, volume: { name: string; universe: number }, value: number): void {
  const found = find(scene, volume);
  fs.writeFileSync(dataOf(found), Buffer.alloc(found.manifest.sizeBytes, value));
}

/** Returns, for each MiB of the volume, the value that fills it. */
function contentOf(scene: PoolScene, volume: { name: string; universe: number }): number[] {
  const content = fs.readFileSync(dataOf(find(scene, volume)));
  return Array.from({ length: content.length / MIB }, (_, index) => {
    const part = content.subarray(index * MIB, (index + 1) * MIB);
    return part.every((byte) => byte === part[0]) ? part[0]! : -1;
  });
}

async function withImage(options: Partial<SceneOptions> = {}): Promise<PoolScene> {
  const scene = await PoolScene.open(directory, { clock: systemClock, ...options });
  scenes.push(scene);
  await scene.create();
  fill(scene, DB, 1);
  await scene.images.image(DB, 1, LOCAL_ASKER, 'first');
  fill(scene, DB, 2);
  return scene;
}

test('an image has the content of its moment, can be written to, and is brought up to date', async () => {
  const scene = await withImage();
  expect(contentOf(scene, IMAGE)).toEqual([1]);
  expect(scene.served.has('db@1')).toBe(true);
  fill(scene, IMAGE, 9);
  expect(contentOf(scene, DB)).toEqual([2]);
  const before = find(scene, IMAGE).manifest;
  await scene.images.refresh([IMAGE], LOCAL_ASKER, null);
  expect([contentOf(scene, IMAGE), contentOf(scene, DB)]).toEqual([[2], [2]]);
  const { id, image } = find(scene, IMAGE).manifest;
  expect(id).toBe(before.id);
  expect(image!.momentMs).toBeGreaterThanOrEqual(before.image!.momentMs);
  expect(image!.refresh).not.toBe(before.image!.refresh);
  expect(scene.picture()).toBe(await pictureOf(directory));
});

test('a refresh takes over the size of a volume that has grown, and an image is not grown by itself', async () => {
  const scene = await withImage();
  await expect(scene.verbs.grow(IMAGE, 4 * MIB, LOCAL_ASKER, null)).rejects.toThrow(/is an image, and grows when it is refreshed/);
  await scene.verbs.grow(DB, 3 * MIB, LOCAL_ASKER, null);
  await scene.images.refresh([IMAGE], LOCAL_ASKER, null);
  expect(contentOf(scene, IMAGE)).toEqual([2, 0, 0]);
  expect(scene.served.get('db@1')!.sizeBytes).toBe(3 * MIB);
});

test('a growth that a refresh would take over counts towards the limits of the client and of the pool', async () => {
  const scene = await withImage({ limitBytes: 4 * MIB });
  await scene.verbs.grow(DB, 3 * MIB, LOCAL_ASKER, null);
  const limited = new Asker(MANAGER.node, { ...MANAGER.rights, limitBytes: MIB });
  await expect(scene.images.refresh([IMAGE], limited, null)).rejects.toMatchObject({ code: 'E_RIGHTS' });
  await expect(scene.images.refresh([IMAGE], LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_SPACE' });
  await expect(scene.images.image(DB, 2, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_SPACE' });
  await expect(scene.images.image(DB, 2, limited, null)).rejects.toMatchObject({ code: 'E_RIGHTS' });
});

test('a volume gets the content of its image, and keeps what was there as a snapshot, and its size', async () => {
  const scene = await withImage();
  await scene.verbs.grow(DB, 2 * MIB, LOCAL_ASKER, null);
  fill(scene, IMAGE, 7);
  const { kept } = await scene.images.restore(DB, 1, LOCAL_ASKER, null);
  expect([contentOf(scene, DB), contentOf(scene, IMAGE)]).toEqual([[7, 0], [7]]);
  expect(kept!.name).toMatch(/^before-restore-/);
  await scene.snapshots.rollback({ ...DB, snapshot: kept!.name }, LOCAL_ASKER, null);
  expect(contentOf(scene, DB)).toEqual([2, 0]);
  // The refresh succeeds, because the relation of image and volume does not depend on their contents.
  await scene.images.refresh([IMAGE], LOCAL_ASKER, null);
  expect(contentOf(scene, IMAGE)).toEqual([2, 0]);
});

test('several images of one volume get one moment, for which it is copied once', async () => {
  const taken: string[][] = [];
  const take: typeof NO_HOLD.take = (copies) => {
    taken.push(copies.map(({ volumeId }) => volumeId));
    return NO_HOLD.take(copies);
  };
  const scene = await withImage({ moments: { take } });
  await scene.images.image(DB, 2, LOCAL_ASKER, null);
  fill(scene, DB, 4);
  const found = await scene.images.refresh([IMAGE, { name: 'db', universe: 2 }], LOCAL_ASKER, null);
  expect(taken.at(-1)).toEqual([find(scene, DB).manifest.id]);
  expect([contentOf(scene, IMAGE), contentOf(scene, { name: 'db', universe: 2 })]).toEqual([[4], [4]]);
  expect(new Set(found.map(({ manifest }) => manifest.image!.refresh)).size).toBe(1);
  fill(scene, IMAGE, 5);
  expect(contentOf(scene, { name: 'db', universe: 2 })).toEqual([4]);
});

test('an image of an image is refreshed after that one', async () => {
  const scene = await withImage();
  const second = { name: 'db', universe: 2 };
  await scene.images.image(IMAGE, 2, LOCAL_ASKER, null);
  await expect(scene.images.refresh([second, IMAGE], LOCAL_ASKER, null)).rejects.toThrow(
    /^Image db@2 is one of image db@1: refresh that one first/,
  );
  await scene.images.refresh([IMAGE], LOCAL_ASKER, null);
  expect(contentOf(scene, second)).toEqual([1]);
  await scene.images.refresh([second], LOCAL_ASKER, null);
  expect(contentOf(scene, second)).toEqual([2]);
});

test('a split image is an ordinary volume of the first format', async () => {
  const scene = await withImage();
  const file = path.join(path.dirname(dataOf(find(scene, IMAGE))), 'volume.json');
  expect(JSON.parse(fs.readFileSync(file, 'utf8'))).toMatchObject({ version: 4 });
  await scene.images.split(IMAGE, LOCAL_ASKER, null);
  expect(JSON.parse(fs.readFileSync(file, 'utf8'))).toMatchObject({ version: 1 });
  await expect(scene.images.refresh([IMAGE], LOCAL_ASKER, null)).rejects.toThrow(/^Volume db@1 is no image/);
  await expect(scene.images.restore(DB, 1, LOCAL_ASKER, null)).rejects.toThrow(/^Volume db has no image in universe 1/);
  await scene.verbs.grow(IMAGE, 2 * MIB, LOCAL_ASKER, null);
});

describe('the holders', () => {
  test('of an image keep it from being refreshed, and those of a volume from being restored; all images stay as they are', async () => {
    const scene = await withImage();
    await scene.create({ name: 'log' });
    await scene.images.image({ name: 'log', universe: 0 }, 1, LOCAL_ASKER, null);
    scene.used.add(find(scene, IMAGE).manifest.id);
    const before = scene.picture();
    const both = [{ name: 'log', universe: 1 }, IMAGE];
    await expect(scene.images.refresh(both, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_HELD' });
    expect([scene.picture(), scene.served.size]).toEqual([before, 4]);
    // A restore is possible while a client holds the image, and a refresh while a client holds the volume.
    await scene.images.restore(DB, 1, LOCAL_ASKER, null);
    scene.used.clear();
    scene.used.add(find(scene, DB).manifest.id);
    await scene.images.refresh(both, LOCAL_ASKER, null);
    await expect(scene.images.restore(DB, 1, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_HELD' });
    await scene.images.split(IMAGE, LOCAL_ASKER, null);
  });
});

describe('the relation', () => {
  test('outlives new names of both', async () => {
    const scene = await withImage();
    await scene.verbs.rename(DB, { name: 'data', universe: 0 }, LOCAL_ASKER, null);
    await scene.images.refresh([IMAGE], LOCAL_ASKER, null);
    expect(find(scene, IMAGE).manifest.image).toMatchObject({ ofName: 'data' });
    fill(scene, IMAGE, 5);
    await scene.images.restore({ name: 'data', universe: 0 }, 1, LOCAL_ASKER, null);
    expect(contentOf(scene, { name: 'data', universe: 0 })).toEqual([5]);
    // If the volume has several images in the universe, the server chooses the image with the volume's name. If no image has this name, the
    // server refuses the restore.
    await scene.images.image({ name: 'data', universe: 0 }, 1, LOCAL_ASKER, null);
    await scene.images.restore({ name: 'data', universe: 0 }, 1, LOCAL_ASKER, null);
    await scene.verbs.rename({ name: 'data', universe: 1 }, { name: 'other', universe: 1 }, LOCAL_ASKER, null);
    await expect(scene.images.restore({ name: 'data', universe: 0 }, 1, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_AMBIGUOUS' });
  });

  test('says what has become of the volume, and is back when the volume is', async () => {
    const scene = await withImage();
    const state = (): string => sourceOf({ pools: scene.pools.states, configured: [] }, find(scene, IMAGE).manifest.image!).state;
    await scene.verbs.remove(DB, LOCAL_ASKER, null);
    expect(state()).toBe('removed');
    await expect(scene.images.refresh([IMAGE], LOCAL_ASKER, null)).rejects.toThrow(
      'Image db@1 is one of volume db@0, which was removed: volume restore db@0 brings it back, or volume split db@1 ends the relation',
    );
    await scene.verbs.restore(DB, LOCAL_ASKER, null);
    expect(state()).toBe('present');
    await scene.images.refresh([IMAGE], LOCAL_ASKER, null);
    await scene.verbs.remove(DB, LOCAL_ASKER, null);
    scene.pools.purge('fast', [...scene.pools.states[0]!.removed.values()][0]!.manifest);
    expect(state()).toBe('deleted');
    await expect(scene.images.refresh([IMAGE], LOCAL_ASKER, null)).rejects.toThrow(/which no longer exists: volume split db@1/);
    await scene.images.split(IMAGE, LOCAL_ASKER, null);
  });

  test('is kept while an image is among the removed volumes', async () => {
    const scene = await withImage();
    await scene.verbs.remove(IMAGE, LOCAL_ASKER, null);
    await expect(scene.images.refresh([IMAGE], LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_UNKNOWN_VOLUME' });
    await scene.verbs.restore(IMAGE, LOCAL_ASKER, null);
    await scene.images.refresh([IMAGE], LOCAL_ASKER, null);
    expect(contentOf(scene, IMAGE)).toEqual([2]);
  });
});

test('what is refused, and why', async () => {
  const scene = await withImage();
  const refused = (work: Promise<unknown>) => expect(work).rejects;
  await refused(scene.images.image(DB, 0, LOCAL_ASKER, null)).toThrow(/^Volume db is in universe 0 itself/);
  await refused(scene.images.image(DB, 1, LOCAL_ASKER, null)).toMatchObject({ code: 'E_EXISTS' });
  await refused(scene.images.image({ name: 'x', universe: 0 }, 1, LOCAL_ASKER, null)).toMatchObject({ code: 'E_UNKNOWN_VOLUME' });
  await refused(scene.images.refresh([], LOCAL_ASKER, null)).toMatchObject({ code: 'E_USAGE' });
  await refused(scene.images.refresh(new Array(IMAGES_AT_ONCE_MAX + 1).fill(IMAGE), LOCAL_ASKER, null)).toThrow(/1 to 32 images/);
  await refused(scene.images.refresh([IMAGE, IMAGE], LOCAL_ASKER, null)).toThrow(/^Image db@1 is given twice/);
  await refused(scene.images.refresh([DB], LOCAL_ASKER, null)).toThrow(/^Volume db@0 is no image/);
  for (const asker of [
    new Asker(MANAGER.node, { ...MANAGER.rights, role: 'use' }),
    new Asker(MANAGER.node, { ...MANAGER.rights, pools: ['slow'] }),
  ])
    for (const work of [
      () => scene.images.image(DB, 2, asker, null),
      () => scene.images.refresh([IMAGE], asker, null),
      () => scene.images.restore(DB, 1, asker, null),
      () => scene.images.split(IMAGE, asker, null),
    ])
      await refused(work()).toMatchObject({ code: 'E_RIGHTS' });
});

test('an image is for the clients of its volume, and a volume that a client may not attach does not exist for it', async () => {
  const scene = await open();
  await scene.create({ clients: ['venus'] });
  await expect(scene.images.image(DB, 1, MANAGER, null)).rejects.toMatchObject({ code: 'E_UNKNOWN_VOLUME' });
  await scene.images.image(DB, 1, LOCAL_ASKER, null);
  expect(find(scene, IMAGE).manifest.clients).toEqual(['venus']);
  await expect(scene.images.restore(DB, 1, MANAGER, null)).rejects.toMatchObject({ code: 'E_UNKNOWN_VOLUME' });
  await scene.verbs.set(IMAGE, { clients: null }, LOCAL_ASKER, null);
  await expect(scene.images.refresh([IMAGE], MANAGER, null)).rejects.toMatchObject({ code: 'E_UNKNOWN_VOLUME' });
});

test('a repeated request is not executed again, also after a restart', async () => {
  const scene = await withImage();
  await scene.images.refresh([IMAGE], LOCAL_ASKER, 'second');
  fill(scene, DB, 3);
  expect((await scene.images.refresh([IMAGE], LOCAL_ASKER, 'second')).map(({ manifest }) => manifest.name)).toEqual(['db']);
  expect(contentOf(scene, IMAGE)).toEqual([2]);
  const { kept } = await scene.images.restore(DB, 1, LOCAL_ASKER, 'third');
  fill(scene, DB, 4);
  await scene.pools.close();
  const again = await open();
  expect((await again.images.restore(DB, 1, LOCAL_ASKER, 'third')).kept!.id).toBe(kept!.id);
  expect(contentOf(again, DB)).toEqual([4]);
});

describe('failures', () => {
  test('of the moment leave everything as it was, and no new file', async () => {
    let isFailing = false;
    const take: typeof NO_HOLD.take = (copies) =>
      isFailing ? Promise.reject(new RsError('E_BUSY', 'The clients write too fast')) : NO_HOLD.take(copies);
    const scene = await withImage({ moments: { take } });
    isFailing = true;
    const before = scene.picture();
    await expect(scene.images.refresh([IMAGE], LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_BUSY' });
    await expect(scene.images.image(DB, 2, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_BUSY' });
    await expect(scene.images.restore(DB, 1, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_BUSY' });
    expect([scene.picture(), contentOf(scene, IMAGE), contentOf(scene, DB), scene.served.size]).toEqual([before, [1], [2], 2]);
    const files = fs.readdirSync(directory, { recursive: true }) as string[];
    expect(files.filter((name) => /new/.test(name))).toEqual([]);
    isFailing = false;
    await scene.images.refresh([IMAGE], LOCAL_ASKER, null);
    expect(contentOf(scene, IMAGE)).toEqual([2]);
  });

  test('of any step leave all images of one moment before or after it, and the pools know it', async () => {
    const names = ['db', 'log'].map((name) => ({ name, universe: 0 }));
    const images = names.map(({ name }) => ({ name, universe: 1 }));
    const seen = new Set<string>();
    for (let failing = 1; ; failing++) {
      let count = -1;
      const reached = (): void => {
        if (count >= 0 && ++count === failing) throw Object.assign(new Error('EIO'), { code: 'EIO' });
      };
      const at = path.join(directory, String(failing));
      const scene = await PoolScene.open(at, { clock: systemClock, names: ['fast', 'slow'], reached });
      scenes.push(scene);
      for (const [index, one] of names.entries()) {
        await scene.create({ ...one, pool: ['fast', 'slow'][index]! });
        fill(scene, one, 1);
        await scene.images.image(one, 1, LOCAL_ASKER, null);
        fill(scene, one, 2);
      }
      count = 0;
      const outcome = await scene.images.refresh(images, LOCAL_ASKER, null).then(
        () => 'made',
        ({ code }: { code: string }) => code,
      );
      const isOver = count < failing;
      count = -1;
      const found = images.map((one) => contentOf(scene, one)[0]);
      const waits = images.some((one) => find(scene, one).manifest.image!.next !== undefined);
      // If a pool failed during the change, the server finishes the change when the pool is opened again.
      await scene.pools.close();
      const again = await PoolScene.open(at, { clock: systemClock, names: ['fast', 'slow'] });
      scenes.push(again);
      const later = images.map((one) => contentOf(again, one)[0]);
      expect(later[0], `step ${failing}: ${outcome}`).toBe(later[1]);
      if (!waits && outcome === 'made') expect(found).toEqual(later);
      if (outcome === 'made') expect(later).toEqual([2, 2]);
      expect(again.picture()).not.toMatch(/finding|"next"/);
      seen.add(`${outcome} ${later[0]}`);
      if (isOver) break;
    }
    expect([...seen].toSorted()).toEqual(['E_POOL 1', 'E_POOL 2', 'made 2']);
  });
});

test('while the image that decides is away, the other one waits for it, is not served, and follows it then', async () => {
  const stopped = path.join(directory, 'stopped');
  const at = path.join(directory, 'run');
  const names = ['fast', 'slow'];
  const reached = (step: string): void => void (isOn && step === 'change: commit' && ++commits === 2 && fs.renameSync(at, stopped));
  let [isOn, commits] = [false, 0];
  const scene = await PoolScene.open(at, { clock: systemClock, names, reached });
  scenes.push(scene);
  for (const [index, name] of ['db', 'log'].entries()) {
    await scene.create({ name, pool: names[index]! });
    fill(scene, { name, universe: 0 }, 1);
    await scene.images.image({ name, universe: 0 }, 1, LOCAL_ASKER, null);
    fill(scene, { name, universe: 0 }, 2);
  }
  isOn = true;
  const log = { name: 'log', universe: 1 };
  await scene.images.refresh([IMAGE, log], LOCAL_ASKER, null).catch(() => undefined);
  fs.renameSync(path.join(stopped, 'fast'), path.join(directory, 'away'));
  const alone = await PoolScene.open(stopped, { clock: systemClock, names, absent: ['fast'] });
  scenes.push(alone);
  expect(alone.served.get('log@1')!.pool!.trouble).toMatch(/^a refresh of several images was interrupted/);
  for (const change of [
    () => alone.images.refresh([log], LOCAL_ASKER, null),
    () => alone.images.split(log, LOCAL_ASKER, null),
    () => alone.verbs.rename(log, { name: 'other', universe: 1 }, LOCAL_ASKER, null),
    () => alone.verbs.remove(log, LOCAL_ASKER, null),
  ])
    await expect(change()).rejects.toMatchObject({ code: 'E_BUSY' });
  expect(contentOf(alone, log)).toEqual([1]);
  await alone.pools.close();
  fs.renameSync(path.join(directory, 'away'), path.join(stopped, 'fast'));
  const both = await PoolScene.open(stopped, { clock: systemClock, names });
  scenes.push(both);
  expect([contentOf(both, IMAGE), contentOf(both, log)]).toEqual([[2], [2]]);
});
