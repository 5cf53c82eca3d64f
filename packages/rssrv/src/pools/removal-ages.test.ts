// Removed volumes under clocks that are wrong: only time that was seen to pass deletes them, over restarts too. Rules: G15 in
// docs/GUARANTEES.md (a removed volume keeps its content for a day).

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { DB, directory, scenes, usePoolDirectory } from '../testing/pool-directory.ts';
import { PoolScene } from '../testing/pool-scene.ts';
import { LOCAL_ASKER } from './asker.ts';
import { REMOVED_AGE_STEP_MS, REMOVED_AGES_SAVED_MAX, REMOVED_KEPT_MS } from './limits.ts';

usePoolDirectory();
const YEAR_MS = 365 * 24 * 3_600_000;
const HOUR_MS = 3_600_000;

async function started(clock: FakeClock): Promise<PoolScene> {
  for (const scene of scenes.splice(0)) await scene.pools.close();
  const scene = await PoolScene.open(directory, { clock });
  scenes.push(scene);
  return scene;
}

const removedIn = (scene: PoolScene): number => scene.pools.states.reduce((sum, { removed }) => sum + removed.size, 0);
const agesIn = (scene: PoolScene): number[] =>
  scene.pools.states.flatMap((pool) => [...pool.removed.values()].map((one) => scene.verbs.ages.times(pool, one).ageMs));

/** Lets time pass as the server sees it, with its look every ten minutes. */
async function live(scene: PoolScene, clock: FakeClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += REMOVED_AGE_STEP_MS) {
    clock.advance(REMOVED_AGE_STEP_MS);
    await scene.verbs.purgeExpired();
  }
}

test('a clock that is ahead at a start, or jumps ahead while the server runs, deletes no removed volume', async () => {
  const clock = new FakeClock();
  let scene = await started(clock);
  await scene.create();
  await scene.verbs.remove(DB, LOCAL_ASKER, null);
  clock.jumpWall(YEAR_MS);
  await live(scene, clock, HOUR_MS);
  expect(removedIn(scene)).toBe(1);
  scene = await started(clock);
  await live(scene, clock, HOUR_MS);
  expect(removedIn(scene)).toBe(1);
  const purge = { volume: null, id: null, olderMs: REMOVED_KEPT_MS };
  expect((await scene.verbs.purgeRemoved(purge, LOCAL_ASKER)).purged).toEqual([]);
  // The first look after the start begins with the saved age.
  expect(agesIn(scene)).toEqual([2 * HOUR_MS - REMOVED_AGE_STEP_MS]);
  expect((await scene.verbs.restore(DB, LOCAL_ASKER, null)).manifest.name).toBe('db');
});

test('a day that servers have seen pass deletes it, whatever their clocks say, and restarts forget at most one step', async () => {
  const clock = new FakeClock();
  let scene = await started(clock);
  await scene.create();
  await scene.verbs.remove(DB, LOCAL_ASKER, null);
  for (let hours = 1; hours < 24; hours++) {
    clock.jumpWall(hours % 2 === 0 ? YEAR_MS : -YEAR_MS);
    await live(scene, clock, HOUR_MS);
    clock.advance(REMOVED_AGE_STEP_MS - 1);
    // The server was down for a week. Nobody has seen this time pass.
    scene = await started(clock);
    clock.jumpWall(7 * 24 * HOUR_MS);
    expect([removedIn(scene), agesIn(scene)]).toEqual([1, [hours * HOUR_MS]]);
  }
  await live(scene, clock, HOUR_MS);
  expect([removedIn(scene), scene.logged.at(-1)]).toEqual([0, 'Removed volume db of pool fast was deleted for good']);
});

test('a volume that is restored and removed again begins anew, and --older asks for time that was seen', async () => {
  const clock = new FakeClock();
  const scene = await started(clock);
  await scene.create();
  await scene.verbs.remove(DB, LOCAL_ASKER, null);
  await live(scene, clock, 23 * HOUR_MS);
  await scene.verbs.restore(DB, LOCAL_ASKER, null);
  await scene.verbs.remove(DB, LOCAL_ASKER, null);
  clock.jumpWall(-YEAR_MS);
  await live(scene, clock, 2 * HOUR_MS);
  expect([removedIn(scene), agesIn(scene)]).toEqual([1, [2 * HOUR_MS]]);
  const older = (olderMs: number) => scene.verbs.purgeRemoved({ volume: null, id: null, olderMs }, LOCAL_ASKER);
  expect((await older(2 * HOUR_MS + 1)).purged).toEqual([]);
  expect((await older(2 * HOUR_MS)).purged).toHaveLength(1);
});

test('one look saves a bounded number of ages, and every age in turn', async () => {
  const clock = new FakeClock();
  let scene = await started(clock);
  const count = REMOVED_AGES_SAVED_MAX + 3;
  for (let index = 0; index < count; index++) {
    await scene.create({ name: `v${index}` });
    await scene.verbs.remove({ name: `v${index}`, universe: 0 }, LOCAL_ASKER, null);
  }
  await live(scene, clock, 2 * REMOVED_AGE_STEP_MS);
  scene = await started(clock);
  const saved = agesIn(scene);
  expect([saved.length, Math.min(...saved)]).toEqual([count, REMOVED_AGE_STEP_MS]);
});
