// Tests the snapshots of schedules on real files, with a simulated clock: groups, missed periods, failures and their texts, snapshots in
// use, and commands of administrators that run between the runner's changes. pools/schedules/plan.test.ts tests the times.

import fs from 'node:fs';
import path from 'node:path';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { ChangeQueue } from '../admin/change-queue.ts';
import { LOCAL_ASKER } from '../pools/asker.ts';
import { ReplicaStore } from '../mirrors/replica-verbs.ts';
import { NO_HOLD } from '../testing/plain-clones.ts';
import { DB, directory, scenes, usePoolDirectory } from '../testing/pool-directory.ts';
import { PoolScene } from '../testing/pool-scene.ts';
import { SCHEDULE_LOOK_MS, SCHEDULE_RETRY_MS } from './limits.ts';
import { ScheduleRunner, type ScheduleState } from './schedule-runner.ts';
import { snapshotsOf } from './snapshot-rules.ts';
import { WHOLE_TURN } from '../testing/whole-turn.ts';

usePoolDirectory();

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 10, 22, 10, 5);

interface Bench {
  readonly clock: FakeClock;
  readonly scene: PoolScene;
  readonly runner: ScheduleRunner;
  readonly logged: string[];
  readonly tried: string[];
  /** The error with which moments fail; null if they succeed. */
  trouble: string | null;
  /** Number of volumes of each moment. */
  readonly moments: number[];
  /** Advances the clock, and waits until the runner has made and removed the snapshots that are due. */
  pass(ms: number): Promise<void>;
  names(volume?: string): string[];
  state(volume?: string): ScheduleState | null;
}

async function bench(startMs = START_MS, names = ['fast']): Promise<Bench> {
  const clock = new FakeClock(startMs);
  const moments: number[] = [];
  const logged: string[] = [];
  const tried: string[] = [];
  const scene = await PoolScene.open(directory, {
    clock,
    names,
    moments: {
      take: async (copies) => {
        moments.push(copies.length);
        if (made.trouble !== null) throw new RsError('E_BUSY', made.trouble);
        await NO_HOLD.take(copies);
      },
    },
  });
  scenes.push(scene);
  const queue = new ChangeQueue(clock);
  const write = (text: string): void => void logged.push(text);
  const runner = new ScheduleRunner({
    clock,
    log: { info: write, warn: write, debug: () => undefined },
    snapshots: scene.snapshots,
    pools: () => scene.pools.states,
    around: (_wanted, make) => make(),
    tried: (method, params, error) => tried.push(`${method} ${JSON.stringify(params)} ${error?.code ?? 'done'}`),
    change: (work, what) => queue.runOwn(work, what),
  });
  const found = (name: string) =>
    scene.pools.states
      .flatMap((pool) => [...pool.volumes.values()].map((manifest) => ({ pool, manifest })))
      .find((one) => one.manifest.name === name)!;
  const made: Bench = {
    clock,
    scene,
    runner,
    logged,
    tried,
    moments,
    trouble: null,
    pass: async (ms) => {
      clock.advance(ms);
      await runner.look();
    },
    names: (name = 'db') => snapshotsOf(found(name)).list.map((one) => one.name),
    state: (name = 'db') => runner.stateOf(found(name)),
  };
  return made;
}

async function schedule({ scene, runner }: Bench, text: string | null, name = 'db'): Promise<void> {
  await scene.verbs.set({ name, universe: 0 }, { schedule: text }, LOCAL_ASKER, null);
  await runner.look();
}

test('a schedule makes its first snapshots at once, then one in each period, and removes the oldest', async () => {
  const one = await bench();
  await one.scene.create();
  await one.scene.snapshots.snapshot([{ ...DB, snapshot: 'by-hand' }], LOCAL_ASKER, null, WHOLE_TURN);
  await schedule(one, 'hourly keep 2, daily keep 7');
  expect(one.names()).toEqual(['by-hand', 'hourly-20261122T1005Z', 'daily-20261122T1005Z']);
  for (let hour = 0; hour < 3; hour++) await one.pass(HOUR_MS);
  expect(one.names()).toEqual(['by-hand', 'daily-20261122T1005Z', 'hourly-20261122T1205Z', 'hourly-20261122T1305Z']);
  expect(one.logged).toContain('Removed by schedule: snapshot db@hourly-20261122T1005Z');
  const made = (snapshot: string): string => `volume-snapshot {"snapshots":[{"name":"db","universe":0,"snapshot":"${snapshot}"}]} done`;
  expect(one.tried.slice(0, 2)).toEqual([made('hourly-20261122T1005Z'), made('daily-20261122T1005Z')]);
  expect(one.tried).toContain('volume-snapshot-remove {"name":"db","universe":0,"snapshot":"hourly-20261122T1005Z"} done');
  expect(one.state()).toEqual({
    text: 'hourly keep 2, daily keep 7',
    lastMs: START_MS + 3 * HOUR_MS,
    failedMs: null,
    failure: null,
    skipped: null,
    rules: [
      { label: 'hourly', keep: 2, kept: 2, lastMs: START_MS + 3 * HOUR_MS, nextMs: Date.UTC(2026, 10, 22, 14) },
      { label: 'daily', keep: 7, kept: 1, lastMs: START_MS, nextMs: Date.UTC(2026, 10, 23) },
    ],
  });
  await schedule(one, null);
  await one.pass(HOUR_MS);
  expect(one.names()).toHaveLength(4);
  expect(one.state()).toBeNull();
});

test('a rule by the calendar makes a snapshot in each month, also in February, and keeps the last', async () => {
  const one = await bench();
  await one.scene.create();
  await schedule(one, 'monthly keep 2, weekly keep 1');
  const made = new Set(one.names());
  for (let day = 0; day < 120; day += 3) {
    await one.pass(3 * 24 * HOUR_MS);
    for (const name of one.names()) made.add(name);
  }
  const days = ['20261122', '20261201', '20270103', '20270202', '20270301'];
  expect([...made].filter((name) => name.startsWith('monthly'))).toEqual(days.map((day) => `monthly-${day}T1005Z`));
  expect(one.names().filter((name) => name.startsWith('monthly'))).toEqual(days.slice(-2).map((day) => `monthly-${day}T1005Z`));
  expect([one.names().length, one.state()?.failure, one.state()?.rules[0]?.nextMs]).toEqual([3, null, Date.UTC(2027, 3)]);
});

test('the schedule of a volume rests while another volume has its name, and leaves the other one alone', async () => {
  const one = await bench(START_MS, ['fast', 'slow']);
  const { scene } = one;
  await scene.create({ pool: 'fast' });
  const { pool, manifest } = await scene.create({ name: 'log', pool: 'slow' });
  await schedule(one, 'hourly keep 2', 'log');
  const scheduled = one.names('log');
  // A pool that was brought from another server has volume db.
  const twin = { ...scene.pools.states[1]!.volumes.get(manifest.id)!, name: 'db' };
  await scene.verbs.onDisk(pool, 10_000, (files) => files.replaceManifest(twin));
  scene.pools.put(pool, twin);
  for (let hour = 0; hour < 3; hour++) await one.pass(HOUR_MS);
  const found = { pool: scene.pools.states[1]!, manifest: twin };
  expect([snapshotsOf(found).list.map(({ name }) => name), one.names('db')]).toEqual([scheduled, []]);
  expect(one.runner.stateOf(found)?.failure).toMatch(/^a volume of pool fast has its name, .*rsadm volume rename db NEW/);
  await scene.verbs.rename(DB, { name: 'other', universe: 0 }, LOCAL_ASKER, null);
  await one.pass(HOUR_MS);
  expect(snapshotsOf({ pool: scene.pools.states[1]!, manifest: twin }).list).toHaveLength(2);
});

test('the schedule of a volume rests while it follows a volume of another server', async () => {
  const one = await bench();
  await one.scene.create();
  await schedule(one, 'hourly keep 2');
  const [pool] = one.scene.pools.states;
  const [manifest] = [...pool!.volumes.values()];
  const source = { sourceId: manifest!.id, sourceName: 'db', sourceUniverse: 0, members: [manifest!.id], promoted: null };
  one.scene.pools.put('fast', { ...manifest!, follower: { replication: manifest!.id, peer: 'oslo', ...source } });
  for (let hour = 0; hour < 3; hour++) await one.pass(HOUR_MS);
  expect([one.names(), one.logged.length, one.state()?.failure]).toEqual([['hourly-20261122T1005Z'], 1, null]);
  one.scene.pools.put('fast', manifest!);
  await one.pass(HOUR_MS);
  expect(one.names()).toContain('hourly-20261122T1405Z');
});

test('the timer of the runner finds the next period, also after the clock was set', async () => {
  const one = await bench();
  await one.scene.create();
  await schedule(one, 'hourly keep 9');
  for (let left = HOUR_MS; left > 0; left -= SCHEDULE_LOOK_MS) await one.pass(SCHEDULE_LOOK_MS);
  one.clock.jumpWall(365 * 24 * HOUR_MS);
  await one.pass(SCHEDULE_LOOK_MS);
  one.clock.jumpWall(-365 * 24 * HOUR_MS);
  for (let left = HOUR_MS; left > 0; left -= SCHEDULE_LOOK_MS) await one.pass(SCHEDULE_LOOK_MS);
  // A snapshot with a future time may come from a period in which the clock was wrong. The future snapshot does not count, and the current
  // period gets a new snapshot.
  const all = ['hourly-20261122T1005Z', 'hourly-20261122T1100Z', 'hourly-20271122T1105Z', 'hourly-20261122T1106Z', 'hourly-20261122T1200Z'];
  expect(one.names()).toEqual(all);
});

test('a server that was down makes up for one period, and remembers what it has made', async () => {
  const before = await bench();
  await before.scene.create();
  await schedule(before, 'hourly keep 9');
  await before.scene.pools.close();
  const again = await bench(START_MS + 60_000);
  await again.runner.look();
  expect(again.names()).toHaveLength(1);
  await again.pass(9 * HOUR_MS);
  expect(again.names()).toEqual(['hourly-20261122T1005Z', 'hourly-20261122T1906Z']);
});

test('volumes of one pool are in one moment; a volume that fails does not fail the others again', async () => {
  const one = await bench(START_MS, ['fast', 'slow']);
  for (const name of ['a', 'b', 'bad']) await one.scene.create({ name, pool: 'fast' });
  await one.scene.create({ name: 'c', pool: 'slow' });
  for (const name of ['a', 'b', 'bad', 'c'])
    await one.scene.verbs.set({ name, universe: 0 }, { schedule: 'hourly keep 3' }, LOCAL_ASKER, null);
  await one.runner.look();
  expect(one.moments).toEqual([3, 1]);
  // Makes the file of one volume too short, so that its snapshots fail.
  const [{ path: pool, volumes }] = one.scene.pools.states as [(typeof one.scene.pools.states)[number]];
  const bad = [...volumes.values()].find(({ name }) => name === 'bad')!;
  fs.truncateSync(path.join(pool, 'volumes', bad.id, 'data'), 512);
  await one.pass(HOUR_MS);
  expect(one.names('a')).toHaveLength(1);
  expect(one.state('a')?.failure).toContain('has 512 bytes');
  await one.pass(SCHEDULE_RETRY_MS);
  expect([one.names('a'), one.names('b'), one.names('bad'), one.names('c')].map((names) => names.length)).toEqual([2, 2, 1, 2]);
  expect(one.state('a')?.failure).toBeNull();
  one.moments.length = 0;
  await one.pass(HOUR_MS);
  expect(one.moments).toEqual([2, 1]);
  expect(one.logged.filter((line) => line.includes('was not made by schedule'))).toHaveLength(1);
});

test('a snapshot that fails is told once, tried again at growing intervals, and made once', async () => {
  const one = await bench();
  await one.scene.create();
  one.trouble = 'Sessions of clients are still beginning';
  await schedule(one, 'daily keep 2');
  expect(one.state()).toMatchObject({ lastMs: null, failedMs: START_MS, failure: one.trouble });
  for (let minute = 0; minute < 60; minute++) await one.pass(60_000);
  expect(one.moments.length).toBeGreaterThan(5);
  expect(one.moments.length).toBeLessThan(12);
  expect(one.logged).toEqual([`Snapshot db@daily-20261122T1005Z was not made by schedule: ${one.trouble}`]);
  one.trouble = null;
  await one.pass(10 * 60_000);
  expect(one.names()).toEqual(['daily-20261122T1115Z']);
  expect(one.state()).toMatchObject({ failure: null, failedMs: null });
});

test('a snapshot in use is kept, said once, and removed later', async () => {
  const one = await bench();
  await one.scene.create();
  await schedule(one, 'hourly keep 1');
  const [record] = [...one.scene.pools.states[0]!.snapshots.values()][0]!.list;
  one.scene.used.add(record!.id);
  await one.pass(HOUR_MS);
  await one.pass(HOUR_MS);
  expect(one.names()).toEqual(['hourly-20261122T1005Z', 'hourly-20261122T1205Z']);
  expect(one.state()?.skipped).toMatch(/^hourly-20261122T1005Z: /);
  expect(one.logged.filter((line) => line.startsWith('Not removed by schedule'))).toHaveLength(1);
  one.scene.used.clear();
  await one.pass(HOUR_MS);
  expect(one.names()).toEqual(['hourly-20261122T1305Z']);
  expect(one.state()?.skipped).toBeNull();
});

test('a runner that was closed changes nothing more', async () => {
  const one = await bench();
  await one.scene.create();
  await one.scene.verbs.set(DB, { schedule: 'hourly keep 1' }, LOCAL_ASKER, null);
  one.runner.close();
  await one.pass(HOUR_MS);
  expect([one.names(), one.clock.timersPending]).toEqual([[], 0]);
});

test('a rollback, a rename and a restart keep the schedule; a clone has none', async () => {
  const one = await bench();
  await one.scene.create();
  await schedule(one, 'hourly keep 5, monthly keep 1');
  const [name = ''] = one.names();
  await one.scene.snapshots.clone({ ...DB, snapshot: name }, { name: 'copy', universe: 0 }, LOCAL_ASKER, null, WHOLE_TURN);
  await one.scene.snapshots.rollback({ ...DB, snapshot: name }, LOCAL_ASKER, null);
  await one.scene.verbs.rename(DB, { name: 'new', universe: 0 }, LOCAL_ASKER, null);
  await one.scene.pools.close();
  const again = await bench();
  expect([again.state('copy'), again.state('new')?.text]).toEqual([null, 'hourly keep 5, monthly keep 1']);
});

test('a replica of a mirror gets no snapshots, no program is started for it, and the server says once why and what to do', async () => {
  const made = await bench();
  const { manifest } = await made.scene.create();
  await schedule(made, 'hourly keep 3');
  const { verbs } = made.scene;
  const store = new ReplicaStore(
    verbs,
    () => 'b'.repeat(32),
    (work) => work(),
    { info: () => undefined },
    { isServed: () => true, end: () => Promise.resolve() },
  );
  const before = made.names();
  await store.place(manifest.id, 'a'.repeat(32));
  made.logged.length = 0;
  for (let hour = 0; hour < 3; hour++) await made.pass(HOUR_MS);
  expect(made.names()).toEqual(before);
  expect(made.state()?.failure).toContain('run rsconfig volume snapshot db@NAME there from a timer');
  expect(made.logged).toEqual([expect.stringContaining('Volume db gets no snapshots by schedule: the volume is a replica of a mirror')]);
  const { name, universe } = manifest;
  await expect(verbs.set({ name, universe }, { schedule: 'daily keep 2' }, LOCAL_ASKER, null)).rejects.toThrow('cannot have a schedule');
});

test('a clock that jumps to and fro does not make a rule remove its history', async () => {
  const one = await bench();
  await one.scene.create();
  await schedule(one, 'hourly keep 4');
  for (let hour = 0; hour < 5; hour++) await one.pass(HOUR_MS);
  const before = one.names();
  expect(before).toHaveLength(4);
  for (let jump = 0; jump < 24; jump++) {
    one.clock.jumpWall(jump % 2 === 0 ? 30 * 24 * HOUR_MS : -30 * 24 * HOUR_MS);
    await one.pass(60_000);
  }
  // 24 jumps make no more snapshots than a clock that was wrong and was corrected.
  expect(one.names().filter((name) => before.includes(name))).toHaveLength(2);
  expect(one.state()?.failure).toBe('the clock of this server jumps, so that more are due than periods have passed: correct the clock');
  for (let hour = 0; hour < 4; hour++) await one.pass(HOUR_MS);
  expect([one.names().length, one.state()?.failure]).toEqual([4, null]);
});
