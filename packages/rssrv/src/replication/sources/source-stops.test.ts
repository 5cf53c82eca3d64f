// Stops the server after each step of each change of replications, and of their moments. The next start finds the old replication or the
// new one, never a part of either, and every change can be repeated with its request. The start after a stop deletes unfinished files.

import { expect, test } from 'vitest';
import { replicationsIn } from '../../pools/source-marks.ts';
import { momentsOf } from '../../pools/source-moments.ts';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { PoolScene } from '../../testing/pool-scene.ts';
import { named, order, PEER, SourceScene, sourceVerbs, SourceTime } from '../../testing/source-scene.ts';
import { eachStop, stopped } from '../../testing/stopped-verbs.ts';
import { WHOLE_TURN } from '../../testing/whole-turn.ts';

const NAMES = ['fast', 'slow'];
const CLIENTS = new Set(['big-8', 'big-7']);
const VOLUMES = ['db', 'log', 'index'];

async function create(scene: PoolScene): Promise<void> {
  for (const [index, name] of VOLUMES.entries()) await scene.create({ name, pool: NAMES[index % 2] ?? '', sizeBytes: 65_536 });
}

const begin = (scene: PoolScene, everyMs = 60_000): Promise<unknown> =>
  sourceVerbs(scene, CLIENTS).replicate(order(VOLUMES, { everyMs }), LOCAL_ASKER, `every ${everyMs}`.replace(' ', '-'));
const end = (scene: PoolScene): Promise<unknown> => sourceVerbs(scene, CLIENTS).end(named(...VOLUMES), LOCAL_ASKER, 'end', false);

/** Returns the replications with their members and moments; equal for equal states of different runs. */
function shown(scene: PoolScene): string {
  const all = replicationsIn(scene.pools.states).map((one) => [
    ...[one.order.everyMs, one.order.confirmed === null ? 'nothing' : 'confirmed', momentsOf(one).length],
    one.members.map(({ manifest }) => manifest.name).join(' '),
  ]);
  return JSON.stringify(all);
}

type Verb = (scene: PoolScene) => Promise<unknown>;

/**
 * Stops `verb` at each step, and repeats it after the next start. Returns what each start found, in the order of the steps, and expects that
 * the repetition leads to the state of a run that is not stopped.
 */
async function replicationsAfterStops(prepare: Verb, verb: Verb): Promise<(readonly [step: string, found: string])[]> {
  const found: (readonly [string, string])[] = [];
  let [before, after] = ['', ''];
  const time = new SourceTime();
  const open = (at: string, reached?: (step: string) => void): Promise<PoolScene> =>
    PoolScene.open(at, { clock: time.clock, names: NAMES, ...(reached === undefined ? {} : { reached }) });
  await eachStop(
    async (at, reached) => {
      let isOn = false;
      const scene = await open(at, (step) => void (isOn && reached(step)));
      await create(scene);
      await prepare(scene);
      before = shown(scene);
      isOn = true;
      try {
        await verb(scene);
        after ||= shown(scene);
      } finally {
        await scene.pools.close();
      }
    },
    async ({ step, at }) => {
      const scene = await open(at);
      const state = shown(scene);
      found.push([step, state === before ? 'before' : state === after ? 'after' : state]);
      await verb(scene);
      expect([step, shown(scene)]).toEqual([step, after]);
      await scene.pools.close();
    },
  );
  expect(before).not.toBe(after);
  return found;
}

test('the begin of a replication of three volumes in two pools', async () => {
  expect(await replicationsAfterStops(() => Promise.resolve(), begin)).toEqual([
    ['change: commit', 'before'],
    ['change: commit', 'before'],
    ['change: commit', 'after'],
  ]);
});

test('new settings', async () => {
  expect(
    await replicationsAfterStops(
      (scene) => begin(scene),
      (scene) => begin(scene, 5_000),
    ),
  ).toEqual([['change: commit', 'after']]);
});

test('the end', async () => {
  expect(await replicationsAfterStops(begin, end)).toEqual([
    ['change: commit', 'after'],
    ['change: commit', 'after'],
    ['change: commit', 'after'],
  ]);
});

test('the begin of another replication after marks were left', async () => {
  const endOfHome: Verb = async (scene) => {
    await begin(scene);
    const { home } = replicationsIn(scene.pools.states)[0]!;
    const { replication: _mark, ...others } = home.manifest;
    await scene.verbs.onDisk(home.pool, 10_000, (files) => files.replaceManifest(others));
    scene.pools.put(home.pool.name, others);
  };
  const other: Verb = (scene) => sourceVerbs(scene, CLIENTS).replicate(order(['log', 'index'], { to: 'big-7' }), LOCAL_ASKER, 'other');
  expect(await replicationsAfterStops(endOfHome, other)).toEqual([
    ['change: commit', 'before'],
    ['change: commit', 'after'],
  ]);
});

test('a moment', async () => {
  const moment: Verb = async (scene) => {
    const { id } = replicationsIn(scene.pools.states)[0]!;
    const sources = sourceVerbs(scene, CLIENTS);
    const next = sources.next(id, PEER, 'moment');
    if (next.made === null) await sources.moment(id, next.wanted[0]!.snapshot, PEER, 'moment', WHOLE_TURN);
  };
  const states = (await replicationsAfterStops(begin, moment)).map(([, state]) => state);
  // Each snapshot takes five steps before the commit of the group, as in snapshot-stops.test.ts.
  expect([states.indexOf('after'), states.length, new Set(states)]).toEqual([15, 21, new Set(['before', 'after'])]);
});

test('a confirmation records the moment first, and then removes the oldest one of three volumes', async () => {
  const found = await stopped(
    NAMES,
    async (scene, later) => {
      await create(scene);
      await begin(scene);
      const source = new SourceScene(scene);
      for (let made = 0; made < 3; made++) {
        later(10_000);
        await source.moment();
      }
    },
    (scene) => {
      const [one] = replicationsIn(scene.pools.states);
      return sourceVerbs(scene, CLIENTS).confirm(one!.id, momentsOf(one!).at(-1)!.group, PEER);
    },
  );
  const first = found[0]!;
  expect(first[0]).toBe('change: commit');
  expect(found.filter(([step]) => step === 'snapshot removal: commit')).toHaveLength(3);
  for (const [step, state] of found.slice(1)) expect([step, /"confirmed":\{/.test(state) || state === 'after']).toEqual([step, true]);
});
