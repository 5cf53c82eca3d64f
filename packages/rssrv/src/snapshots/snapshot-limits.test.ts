// Tests snapshots and the limit of a client: a snapshot counts for the client that makes it, a scheduled snapshot for the owner of the
// volume. A client with a limit therefore cannot fill a pool with snapshots.

import { expect, test } from 'vitest';
import { systemClock } from '@rsio/base/lib/clock';
import { Asker } from '../pools/asker.ts';
import { LOCAL_ASKER } from '../pools/asker.ts';
import { ownedBytes } from '../pools/catalogue.ts';
import { DB, directory, scenes, usePoolDirectory } from '../testing/pool-directory.ts';
import { PoolScene } from '../testing/pool-scene.ts';
import { volumeIn, writeVolume } from '../testing/volume-content.ts';
import { snapshotsOf } from './snapshot-rules.ts';
import { WHOLE_TURN } from '../testing/whole-turn.ts';

usePoolDirectory();

const KIB = 1024;
const SIZE = 64 * KIB;
const LIMIT = 4 * SIZE;
const CLIENT = new Asker('big-2', { role: 'manage', pools: null, limitBytes: LIMIT });
const at = (snapshot: string) => ({ ...DB, snapshot });

async function withVolume(asker: Asker, several = false): Promise<PoolScene> {
  const scene = await PoolScene.open(directory, { clock: systemClock, names: ['fast', 'slow'], limits: { 'big-2': LIMIT } });
  scenes.push(scene);
  await scene.create({ sizeBytes: SIZE, ...(several ? { pools: ['fast', 'slow'], chunkBytes: 4 * KIB } : { pool: 'fast' }) }, asker);
  writeVolume(scene, 'db', Buffer.alloc(SIZE, 1));
  return scene;
}

function owned(scene: PoolScene, node = 'big-2'): number {
  return ownedBytes({ pools: scene.pools.states, configured: [] }, node);
}

test.each([
  ['one file', false],
  ['two files', true],
])(
  'a client with a limit makes snapshots of a volume of %s until the limit is reached, and again after a removal',
  async (_what, several) => {
    const scene = await withVolume(CLIENT, several);
    for (const name of ['a', 'b', 'c']) {
      const [made] = await scene.snapshots.snapshot([at(name)], CLIENT, null, WHOLE_TURN);
      expect(made!.record.usedBytes).toBe(SIZE);
    }
    expect(owned(scene)).toBe(LIMIT);
    const refused = { code: 'E_RIGHTS', message: expect.stringContaining('asks for 64k and has 256k of its limit 256k: remove') as string };
    await expect(scene.snapshots.snapshot([at('d')], CLIENT, null, WHOLE_TURN)).rejects.toMatchObject(refused);
    await expect(scene.snapshots.rollback(at('a'), CLIENT, null)).rejects.toMatchObject(refused);
    await expect(scene.snapshots.clone(at('a'), { name: 'copy', universe: 0 }, CLIENT, null, WHOLE_TURN)).rejects.toMatchObject({
      code: 'E_RIGHTS',
    });
    // An administrator has no limit, and its snapshots count for no client.
    await scene.snapshots.snapshot([at('d')], LOCAL_ASKER, null, WHOLE_TURN);
    expect(owned(scene)).toBe(LIMIT);
    await scene.snapshots.remove(at('a'), CLIENT, null);
    await scene.snapshots.snapshot([at('e')], CLIENT, null, WHOLE_TURN);
    await expect(scene.snapshots.snapshot([at('f')], CLIENT, null, WHOLE_TURN)).rejects.toMatchObject({ code: 'E_RIGHTS' });
    // The limit counts the same bytes after a restart. A removed volume and its snapshots count until the server has deleted their files.
    const { pool, manifest } = volumeIn(scene, 'db');
    await scene.verbs.remove(DB, CLIENT, null);
    expect(owned(scene)).toBe(LIMIT);
    await expect(scene.create({ name: 'other', pool: 'slow', sizeBytes: SIZE }, CLIENT)).rejects.toMatchObject({ code: 'E_RIGHTS' });
    await scene.verbs.restore(DB, CLIENT, null);
    await scene.pools.close();
    const again = await PoolScene.open(directory, { clock: systemClock, names: ['fast', 'slow'] });
    scenes.push(again);
    expect(owned(again)).toBe(LIMIT);
    expect(snapshotsOf({ pool, manifest }).list).toHaveLength(4);
    await again.verbs.remove(DB, CLIENT, null);
    await again.verbs.purgeRemoved({ volume: DB, id: null, olderMs: 0 }, CLIENT);
    expect(owned(again)).toBe(0);
  },
);

test('snapshots of a volume of others count for the client that makes them', async () => {
  const scene = await withVolume(LOCAL_ASKER);
  for (const name of ['a', 'b', 'c', 'd']) await scene.snapshots.snapshot([at(name)], CLIENT, null, WHOLE_TURN);
  await expect(scene.snapshots.snapshot([at('e')], CLIENT, null, WHOLE_TURN)).rejects.toMatchObject({ code: 'E_RIGHTS' });
});

test('snapshots of a schedule count for the owner of the volume, and stop at its limit', async () => {
  const scene = await withVolume(CLIENT);
  const scheduled = (name: string) => scene.snapshots.snapshot([{ ...at(name), schedule: 'hourly' }], LOCAL_ASKER, null, WHOLE_TURN);
  for (const name of ['a', 'b', 'c']) await scheduled(name);
  expect(owned(scene)).toBe(LIMIT);
  await expect(scheduled('d')).rejects.toMatchObject({ code: 'E_RIGHTS' });
  await scene.snapshots.remove(at('a'), CLIENT, null);
  await scheduled('d');
});
