// Tests that every change by which a pool promises more obeys overcommit in rssrvcfg. pools/space/overcommit.test.ts tests the warning.
// Rules: N12.

import { systemClock } from '@rsio/base/lib/clock';
import type { Overcommit } from '@rsio/common/config/schema/types';
import { expect, test } from 'vitest';
import { decideCopy } from '../jobs/copies/copy-rules.ts';
import { decideImage, decideRefresh } from '../jobs/images/image-rules.ts';
import { decideMove } from '../jobs/moves/move-rules.ts';
import { LOCAL_ASKER } from '../pools/asker.ts';
import { findVolume, promisedBytes } from '../pools/catalogue.ts';
import { FollowerVerbs } from '../replication/followers/follower-verbs.ts';
import { CopyScene } from '../testing/copy-scene.ts';
import { DB, directory, MIB, scenes, usePoolDirectory } from '../testing/pool-directory.ts';
import { PoolScene } from '../testing/pool-scene.ts';
import { WHOLE_CHANGES, WHOLE_TURN } from '../testing/whole-turn.ts';

const MONDAY = { ...DB, snapshot: 'monday' };
usePoolDirectory();

/** Opens pools fast and slow. Both have room for promises of 3 MiB; fast has volume db of 1 MiB with a snapshot, and slow has 2 MiB. */
async function opened(overcommit: Overcommit): Promise<PoolScene> {
  const scene = await PoolScene.open(directory, { clock: systemClock, names: ['fast', 'slow'] });
  scenes.push(scene);
  await scene.create({ ...DB, pool: 'fast' });
  await scene.create({ name: 'big', pool: 'fast', sizeBytes: 2 * MIB });
  await scene.create({ name: 'log', pool: 'slow', sizeBytes: 2 * MIB });
  await scene.snapshots.snapshot([MONDAY], LOCAL_ASKER, null, WHOLE_TURN);
  await scene.pools.measure();
  const reserve = 1 - (3 * MIB + 1) / scene.pools.states[0]!.space!.totalBytes;
  await (await scene.pools.prepare(scene.configs.map((config) => ({ ...config, overcommit, reserve })))).commit();
  return scene;
}

const uuid = (digit: string): string => `00000000-0000-4000-8000-00000000000${digit}`;

/** Makes a follower of 1 MiB in pool slow, and gives it a moment in which its source has 2 MiB. */
async function follow(scene: PoolScene): Promise<void> {
  const followers = new FollowerVerbs(scene.verbs);
  const member = { id: uuid('1'), name: 'far', universe: 0, sizeBytes: MIB, blockSizeBytes: 512 };
  const grown = { volumeId: uuid('1'), id: uuid('3'), snapshot: 'last', sizeBytes: 2 * MIB, blockSizeBytes: 512, origin: null };
  const moment = { group: uuid('b'), momentMs: 1_000, place: null, snapshots: [grown] };
  const settings = { pool: 'slow', everyMs: 60_000, keep: 3, limitBytes: null, confirmed: null, problem: null, isMirror: false };
  const order = { replication: uuid('9'), ...settings, shared: null, handOver: null, members: [member], moments: [moment] };
  await followers.create(order, member, { name: 'oslo', pools: null });
  const { manifest } = followers.of(order.replication)[0]!;
  const { state } = await followers.prepare(manifest.id, grown, null);
  await followers.arrived(manifest.id, { ...state, positionBytes: grown.sizeBytes }, 0);
  await followers.commit(manifest.id, moment, grown, null);
}

const NEW = { id: uuid('e') as never, name: 'new', universe: 0 };
const db = (scene: PoolScene) => findVolume(scene.verbs.catalogue, DB, LOCAL_ASKER);

/** Each change by which pool fast would promise 4 MiB, or pool slow 4 MiB. */
const CHANGES: Readonly<Record<string, (scene: PoolScene) => unknown>> = {
  create: (scene) => scene.create({ name: 'new', pool: 'fast' }),
  'create thick': (scene) => scene.create({ name: 'new', pool: 'slow', sizeBytes: 2 * MIB, thick: true }),
  'create over two pools': (scene) => scene.create({ name: 'new', sizeBytes: 4 * MIB, pools: ['slow', 'fast'] }),
  grow: (scene) => scene.verbs.grow(DB, 2 * MIB, LOCAL_ASKER, null),
  clone: (scene) => scene.snapshots.clone(MONDAY, { name: 'new', universe: 0 }, LOCAL_ASKER, null, WHOLE_TURN),
  image: (scene) => scene.images.image(DB, 1, LOCAL_ASKER, null),
  'image in another pool': (scene) => {
    const wanted = { name: 'big', universe: 0 };
    return decideImage(scene.verbs.catalogue, wanted, 1, 'slow', LOCAL_ASKER, scene.verbs.stamp(null));
  },
  move: (scene) =>
    decideMove(scene.verbs.catalogue, findVolume(scene.verbs.catalogue, { name: 'big', universe: 0 }, LOCAL_ASKER), 'slow', LOCAL_ASKER),
  copy: (scene) =>
    decideCopy(
      scene.verbs.catalogue,
      db(scene),
      { sizeBytes: 2 * MIB, blockSizeBytes: 512 },
      { ...NEW, pool: 'slow', snapshotId: null },
      LOCAL_ASKER,
      0,
    ),
};

test.each(Object.entries(CHANGES))('a pool that refuses overcommit refuses: %s', async (_, change) => {
  const scene = await opened('refuse');
  const error = await Promise.resolve(scene)
    .then(change)
    .then(
      () => null,
      (thrown: unknown) => thrown,
    );
  expect(error).toMatchObject({ code: 'E_SPACE' });
  expect((error as Error).message).toMatch(
    /^Pool (fast|slow) would promise (4m|5m|7m), and has 3m above its reserve \(overcommit = refuse in section \[pool \1\] of rssrvcfg\): remove a volume, use another pool, or enlarge its file system$/,
  );
});

test.each(Object.entries(CHANGES).filter(([name]) => !name.includes('thick')))('a pool that only warns permits: %s', async (_, change) => {
  const scene = await opened('warn');
  await change(scene);
});

test.each(['refuse', 'warn'] as const)(
  'a follower grows with its source in a pool with overcommit = %s, so that its replication goes on',
  async (overcommit) => {
    await follow(await opened(overcommit));
  },
);

test('a pool that refuses overcommit permits what promises nothing more, although it promises too much already', async () => {
  const scene = await opened('warn');
  const { verbs, snapshots } = scene;
  await scene.create({ name: 'long', sizeBytes: 4 * MIB, pools: ['fast', 'slow'] });
  await (
    await scene.pools.prepare(
      scene.pools.states.map((state, index) => ({ ...scene.configs[index]!, overcommit: 'refuse', reserve: state.reserve })),
    )
  ).commit();
  await snapshots.rollback(MONDAY, LOCAL_ASKER, null);
  await verbs.remove(DB, LOCAL_ASKER, null);
  await expect(scene.create({ name: 'new', pool: 'fast' })).rejects.toThrow(
    /: 1m are removed volumes, which volume purge deletes for good$/,
  );
  await verbs.restore(DB, LOCAL_ASKER, null);
  expect(scene.served.has('db@0')).toBe(true);
});

test.each(['warn', 'allow'] as const)('a job that makes its pool promise too much begins, with a warning: %s', async (overcommit) => {
  const copies = new CopyScene(await opened(overcommit));
  await copies.jobs.load();
  const orders = copies.service.handlers(LOCAL_ASKER, WHOLE_CHANGES);
  const limits = { limitBytes: null, request: null };
  const copy = { snapshot: null, newName: 'new', newUniverse: 0, pool: 'slow', ...limits };
  const copied = await orders['volume-copy']({ name: 'log', universe: 0, ...copy });
  const small = await orders['volume-copy']({ ...DB, ...copy, newName: 'small' });
  const moved = await orders['volume-move']({ name: 'big', universe: 0, from: null, pool: 'slow', ...limits });
  const text =
    'The volumes of pool slow may grow to 4m, and it has 3.0m above its reserve: when it is full, writes wait until there is space';
  const warning = overcommit === 'warn' ? text : undefined;
  expect([copied, small, moved].map(({ job }) => job.overcommit)).toEqual([warning, undefined, warning]);
});

test('images that are refreshed together promise together', async () => {
  const scene = await opened('warn');
  const { verbs, images } = scene;
  const big = { name: 'big', universe: 0 };
  for (const [volume, sizeBytes] of [
    [DB, 2 * MIB],
    [big, 3 * MIB],
  ] as const) {
    await images.image(volume, 1, LOCAL_ASKER, null);
    await verbs.grow(volume, sizeBytes, LOCAL_ASKER, null);
  }
  await scene.pools.measure();
  const [fast] = scene.pools.states;
  // One image more fits, and not both.
  const reserve = 1 - (promisedBytes(fast!) + 1.5 * MIB) / fast!.space!.totalBytes;
  await (await scene.pools.prepare(scene.configs.map((config) => ({ ...config, overcommit: 'refuse', reserve })))).commit();
  const refresh = (...names: readonly string[]): unknown =>
    decideRefresh(
      verbs.catalogue,
      names.map((name) => ({ name, universe: 1 })),
      LOCAL_ASKER,
      verbs.stamp(null),
    );
  for (const name of ['db', 'big']) expect(() => refresh(name)).not.toThrow();
  expect(() => refresh('db', 'big')).toThrow(/would promise/);
});
