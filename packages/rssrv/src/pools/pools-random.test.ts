// Compares random sequences of changes and restarts with a model (property test). The model records which volumes exist, and their names
// and sizes. After every step, the pools on disk must agree with the model, and a refused change must leave them unchanged. Rules: G15.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PoolScene } from '../testing/pool-scene.ts';
import { LOCAL_ASKER } from './asker.ts';
import { partsOf, promisedBytes } from './catalogue.ts';
import { partSizes } from './disk/manifest.ts';

const RUNS = 120;
const STEP_BYTES = 4096;
const LIMIT_BYTES = 10 * STEP_BYTES;

type Order =
  | { readonly verb: 'create' | 'grow'; readonly name: string; readonly steps: number }
  | { readonly verb: 'rename'; readonly name: string; readonly to: string }
  | { readonly verb: 'remove' | 'restore' | 'protect' | 'purge'; readonly name: string }
  | { readonly verb: 'restart' };

const name = fc.constantFrom('a', 'b', 'ra', 'c');
const order: fc.Arbitrary<Order> = fc.oneof(
  fc.record({ verb: fc.constantFrom('create' as const, 'grow' as const), name, steps: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ verb: fc.constant('rename' as const), name, to: name }),
  fc.record({ verb: fc.constantFrom('remove' as const, 'restore' as const, 'protect' as const, 'purge' as const), name }),
  fc.record({ verb: fc.constant('restart' as const) }),
);

interface Modelled {
  name: string;
  steps: number;
  isProtected: boolean;
}

class Model {
  volumes: Modelled[] = [];
  /** Removed volumes, the last removal last. */
  removed: Modelled[] = [];

  /** Executes the order on the model if the rules permit it; otherwise returns false. */
  apply(one: Order): boolean {
    if (one.verb === 'restart') return true;
    const found = this.volumes.find((volume) => volume.name === one.name);
    switch (one.verb) {
      case 'create':
        if (!this.isFree(one.name, null) || this.promised + one.steps > LIMIT_BYTES / STEP_BYTES) return false;
        this.volumes.push({ name: one.name, steps: one.steps, isProtected: false });
        return true;
      case 'grow':
        if (found === undefined || one.steps <= found.steps || this.promised + one.steps - found.steps > LIMIT_BYTES / STEP_BYTES)
          return false;
        found.steps = one.steps;
        return true;
      case 'rename':
        if (found === undefined || !this.isFree(one.to, found)) return false;
        found.name = one.to;
        return true;
      case 'remove':
        if (found === undefined) return false;
        this.volumes = this.volumes.filter((volume) => volume !== found);
        this.removed.push(found);
        return true;
      case 'restore': {
        const last = this.removed.findLast((volume) => volume.name === one.name);
        if (last === undefined || !this.isFree(one.name, null)) return false;
        this.removed = this.removed.filter((volume) => volume !== last);
        this.volumes.push(last);
        return true;
      }
      case 'purge': {
        const left = this.removed.filter((volume) => volume.name !== one.name);
        const isSome = left.length < this.removed.length;
        this.removed = left;
        return isSome;
      }
      case 'protect':
        if (found === undefined) return false;
        found.isProtected = true;
        return true;
    }
  }

  get picture(): string[] {
    return this.volumes.map(({ name: text, steps, isProtected }) => `${text} ${steps} ${isProtected}`).toSorted();
  }

  private get promised(): number {
    return [...this.volumes, ...this.removed].reduce((sum, { steps }) => sum + steps, 0);
  }

  private isFree(text: string, self: Modelled | null): boolean {
    return this.volumes.every(
      (volume) => volume === self || (volume.name !== text && volume.name !== `r${text}` && `r${volume.name}` !== text),
    );
  }
}

async function execute(scene: PoolScene, one: Order): Promise<boolean> {
  if (one.verb === 'restart') return true;
  const volume = { name: one.name, universe: 0 };
  const verbs = {
    create: () => scene.create({ name: one.name, sizeBytes: 'steps' in one ? one.steps * STEP_BYTES : 0 }),
    grow: () => scene.verbs.grow(volume, 'steps' in one ? one.steps * STEP_BYTES : 0, LOCAL_ASKER, null),
    rename: () => scene.verbs.rename(volume, { name: 'to' in one ? one.to : '', universe: 0 }, LOCAL_ASKER, null),
    remove: () => scene.verbs.remove(volume, LOCAL_ASKER, null),
    restore: () => scene.verbs.restore(volume, LOCAL_ASKER, null),
    purge: () => scene.verbs.purgeRemoved({ volume, id: null, olderMs: 0 }, LOCAL_ASKER),
    protect: () => scene.verbs.set(volume, { readonly: true }, LOCAL_ASKER, null),
  };
  try {
    await verbs[one.verb]();
    return true;
  } catch {
    return false;
  }
}

test('every order of changes ends as the model says, also after restarts', async () => {
  let permitted = 0;
  let refused = 0;
  const property = fc.asyncProperty(fc.array(order, { minLength: 5, maxLength: 40 }), async (orders) => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-pools-'));
    let nowMs = 0;
    const clock = { ...systemClock, wallMs: () => nowMs++ };
    const open = (): Promise<PoolScene> => PoolScene.open(directory, { clock, limitBytes: LIMIT_BYTES });
    const model = new Model();
    let scene = await open();
    try {
      for (const one of orders) {
        if (one.verb === 'restart') {
          await scene.pools.close();
          scene = await open();
        }
        const before = scene.picture();
        const isDone = await execute(scene, one);
        expect(isDone, JSON.stringify(one)).toBe(model.apply(one));
        if (isDone) permitted++;
        else {
          refused++;
          expect(scene.picture()).toBe(before);
        }
        const [state] = scene.pools.states;
        const picture = [...state!.volumes.values()].map(
          ({ name: text, sizeBytes, readonly }) => `${text} ${sizeBytes / STEP_BYTES} ${readonly}`,
        );
        expect(picture.toSorted()).toEqual(model.picture);
        expect(
          [...scene.served.values()]
            .map(({ name: text, sizeBytes, readonly }) => `${text} ${(sizeBytes ?? 0) / STEP_BYTES} ${readonly}`)
            .toSorted(),
        ).toEqual(model.picture);
        expect(state!.removed.size).toBe(model.removed.length);
      }
      const last = scene.picture();
      await scene.pools.close();
      expect(await PoolScene.picture(directory, { clock, limitBytes: LIMIT_BYTES })).toBe(last);
    } finally {
      await scene.pools.close();
      await removeFolder(directory);
    }
  });
  await fc.assert(property, { numRuns: RUNS, seed: 18 });
  // Permitted and refused orders must both be frequent, because a test with few orders of either kind proves little.
  expect([permitted > 400, refused > 400], `${permitted} permitted, ${refused} refused`).toEqual([true, true]);
});

const SEVERAL = ['a', 'b', 'c'];
const CHUNK_BYTES = 4096;

type LayoutOrder =
  | { readonly verb: 'create'; readonly name: string; readonly steps: number; readonly pools: readonly string[]; readonly stripes: boolean }
  | { readonly verb: 'grow'; readonly name: string; readonly steps: number; readonly onto: string | null }
  | { readonly verb: 'remove' | 'restore' | 'purge'; readonly name: string }
  /** Restarts the server first without the pool `absent`, and then with all pools. */
  | { readonly verb: 'restart'; readonly absent: string | null };

const layoutOrder: fc.Arbitrary<LayoutOrder> = fc.oneof(
  fc.record({
    verb: fc.constant('create' as const),
    name,
    steps: fc.integer({ min: 1, max: 6 }),
    pools: fc.subarray(SEVERAL, { minLength: 1 }),
    stripes: fc.boolean(),
  }),
  fc.record({
    verb: fc.constant('grow' as const),
    name,
    steps: fc.integer({ min: 1, max: 9 }),
    onto: fc.constantFrom(null, ...SEVERAL),
  }),
  fc.record({ verb: fc.constantFrom('remove' as const, 'restore' as const, 'purge' as const), name }),
  fc.record({ verb: fc.constant('restart' as const), absent: fc.constantFrom(null, ...SEVERAL) }),
);

/** Executes the order, and returns the size in bytes of the created or grown volume; null if the order was refused. */
async function executeLayout(scene: PoolScene, one: Exclude<LayoutOrder, { verb: 'restart' }>): Promise<number | null> {
  const volume = { name: one.name, universe: 0 };
  const bytes = 'steps' in one ? one.steps * STEP_BYTES : 0;
  try {
    switch (one.verb) {
      case 'create': {
        const several =
          one.pools.length === 1 ? { pool: one.pools[0]! } : { pools: one.pools, chunkBytes: one.stripes ? CHUNK_BYTES : null };
        return (await scene.create({ name: one.name, sizeBytes: bytes, ...several })).manifest.sizeBytes;
      }
      case 'grow':
        return (await scene.verbs.grow(volume, bytes, LOCAL_ASKER, null, one.onto)).manifest.sizeBytes;
      case 'remove':
        return (await scene.verbs.remove(volume, LOCAL_ASKER, null)).manifest.sizeBytes;
      case 'restore':
        return (await scene.verbs.restore(volume, LOCAL_ASKER, null)).manifest.sizeBytes;
      case 'purge':
        return (await scene.verbs.purgeRemoved({ volume, id: null, olderMs: 0 }, LOCAL_ASKER)).purged.length;
    }
  } catch {
    return null;
  }
}

/** Checks that all files, even of removed volumes, fit the limits of their pools, and that served files fit their manifests. */
function checkFiles(scene: PoolScene): void {
  const promised = new Map(SEVERAL.map((pool) => [pool, 0]));
  for (const { layout, path: only, sizeBytes, pool } of scene.served.values()) {
    const files = layout?.parts ?? [{ path: only, sizeBytes: sizeBytes ?? 0, pool: pool?.name ?? '' }];
    for (const file of files) {
      expect(fs.statSync(file.path ?? '').size).toBeGreaterThanOrEqual(file.sizeBytes);
      promised.set(file.pool ?? '', promised.get(file.pool ?? '')! + file.sizeBytes);
    }
    const total = files.reduce((sum, file) => sum + file.sizeBytes, 0);
    expect(layout === undefined || layout.chunkBytes !== null ? total >= (sizeBytes ?? 0) : total === sizeBytes).toBe(true);
  }
  for (const { name: home, removed } of scene.pools.states)
    for (const { manifest } of removed.values()) {
      const [firstBytes = 0] = partSizes(manifest);
      promised.set(home, promised.get(home)! + firstBytes);
      for (const { pool, record } of partsOf({ pools: scene.pools.states, configured: [] }, manifest))
        promised.set(pool.name, promised.get(pool.name)! + record.sizeBytes);
    }
  for (const state of scene.pools.states) {
    expect([state.name, promisedBytes(state), state.trouble]).toEqual([state.name, promised.get(state.name), null]);
    expect(promisedBytes(state)).toBeLessThanOrEqual(LIMIT_BYTES);
  }
  expect(scene.picture()).not.toMatch(/finding|part new|purging/);
}

test('volumes over several pools: every order of changes keeps files and promises, also after starts without a pool', async () => {
  let permitted = 0;
  let refused = 0;
  const property = fc.asyncProperty(fc.array(layoutOrder, { minLength: 5, maxLength: 20 }), async (orders) => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-pools-'));
    let nowMs = 0;
    const clock = { ...systemClock, wallMs: () => nowMs++ };
    const options = { clock, limitBytes: LIMIT_BYTES, names: SEVERAL };
    let scene = await PoolScene.open(directory, options);
    const sizes = new Map<string, number>();
    try {
      for (const one of orders) {
        const before = scene.picture();
        if (one.verb === 'restart') {
          await scene.pools.close();
          const [at, away] = [path.join(directory, one.absent ?? ''), path.join(directory, 'away')];
          if (one.absent !== null) {
            fs.renameSync(at, away);
            await PoolScene.picture(directory, { ...options, absent: [one.absent] });
            fs.renameSync(away, at);
          }
          scene = await PoolScene.open(directory, options);
          expect(scene.picture()).toBe(before);
        } else {
          const bytes = await executeLayout(scene, one);
          if (bytes === null) refused++;
          else permitted++;
          if (bytes === null) expect(scene.picture()).toBe(before);
          else if (one.verb === 'remove') sizes.delete(one.name);
          else if (one.verb !== 'purge') sizes.set(one.name, bytes);
        }
        expect(new Map([...scene.served.values()].map((volume) => [volume.name, volume.sizeBytes]))).toEqual(sizes);
        checkFiles(scene);
      }
    } finally {
      await scene.pools.close();
      await removeFolder(directory);
    }
  });
  await fc.assert(property, { numRuns: 40, seed: 18 });
  expect([permitted > 80, refused > 80], `${permitted} permitted, ${refused} refused`).toEqual([true, true]);
});
