// Stops the server after each step of each change of a pool, or makes a step fail. The next start finds the state before the change or
// after the change. Rules: C1, G15.

import { describe, expect, test } from 'vitest';
import type { PoolScene } from '../testing/pool-scene.ts';
import { FailingStep, stopped } from '../testing/stopped-verbs.ts';
import { LOCAL_ASKER } from './asker.ts';
import { DB, MIB, directory, open, pictureOf, usePoolDirectory } from '../testing/pool-directory.ts';

usePoolDirectory();

describe('a stop after any step leaves the state before or after', () => {
  test('create', async () => {
    const found = await stopped(
      ['fast'],
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
    const found = await stopped(
      ['fast'],
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
    const renamed = await stopped(
      ['fast'],
      (scene) => scene.create(),
      (scene) => scene.verbs.rename(DB, { name: 'new', universe: 2 }, LOCAL_ASKER, null),
    );
    expect(renamed).toEqual([['change: commit', 'after']]);
  });

  test('remove', async () => {
    const found = await stopped(
      ['fast'],
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
    const found = await stopped(['fast'], prepare, (scene) => scene.verbs.restore(DB, LOCAL_ASKER, null));
    expect(found).toEqual([
      ['restore: manifest', 'before'],
      ['restore: commit', 'after'],
      ['restore: durable', 'after'],
      ['restore: note', 'after'],
    ]);
  });
});

describe('a step that fails', () => {
  /**
   * Executes the verb, which fails once after this step. The state in memory must then equal the disk, and served volumes must agree
   * with their manifests.
   */
  async function failing(step: string, verb: (scene: PoolScene) => Promise<unknown>, prepare?: (scene: PoolScene) => Promise<unknown>) {
    const failure = new FailingStep(step);
    const scene = await open(failure.reached);
    await (prepare ?? (() => scene.create()))(scene);
    failure.isOn = true;
    await expect(verb(scene)).rejects.toMatchObject({ code: 'E_POOL' });
    expect(failure.isOn).toBe(false);
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
