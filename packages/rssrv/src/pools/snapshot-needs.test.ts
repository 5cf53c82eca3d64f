// Tests that no command removes a snapshot that something needs: the newest moment of a follower, also while another follower lags or its
// pool is absent, the base of a demoted volume, and the moments of a source. source-verbs.test.ts has more about sources. Rules: T6, T8.

import { expect, test } from 'vitest';
import { systemClock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { directory, scenes, usePoolDirectory } from '../testing/pool-directory.ts';
import { PoolScene } from '../testing/pool-scene.ts';
import { volumeIn } from '../testing/volume-content.ts';
import { WHOLE_TURN } from '../testing/whole-turn.ts';
import { snapshotsOf } from '../snapshots/snapshot-rules.ts';
import { Asker, LOCAL_ASKER } from './asker.ts';
import type { FollowerMark } from './disk/manifest.ts';
import { withSnapshot } from './repair/snapshot-repair.ts';

usePoolDirectory();

const REPLICATION = '00000000-0000-4000-8000-0000000000f1';
const SOURCES = { db: '00000000-0000-4000-8000-0000000000d1', log: '00000000-0000-4000-8000-0000000000d2' };
/** Ids of moments, by the names of their snapshots. */
const GROUPS: Readonly<Record<string, string>> = {
  m1: '00000000-0000-4000-8000-000000000001',
  m2: '00000000-0000-4000-8000-000000000002',
  m3: '00000000-0000-4000-8000-000000000003',
};
const CLIENT = new Asker('big-2', { role: 'manage', pools: null, limitBytes: null });

/** Opens the pool, and makes a follower with these moments of each named volume. */
async function followers(volumes: Readonly<Partial<Record<keyof typeof SOURCES, readonly string[]>>>, absent = false): Promise<PoolScene> {
  const names = absent ? ['fast', 'gone'] : ['fast'];
  const scene = await PoolScene.open(directory, { clock: systemClock, names, absent: ['gone'] });
  scenes.push(scene);
  for (const [name, moments] of Object.entries(volumes)) {
    await scene.create({ name, pool: 'fast', sizeBytes: 4_096 });
    for (const snapshot of moments) await scene.snapshots.snapshot([{ name, universe: 0, snapshot }], LOCAL_ASKER, null, WHOLE_TURN);
    const { manifest } = volumeIn(scene, name);
    scene.pools.putSnapshots('fast', manifest.id, ({ list, ...all }) =>
      list
        .map((one) => ({ ...one, replication: REPLICATION, origin: { snapshot: one.id, group: GROUPS[one.name] ?? one.id } }))
        .reduce(withSnapshot, { ...all, list: [] }),
    );
    mark(scene, name, {});
  }
  return scene;
}

function mark(scene: PoolScene, name: string, changes: Partial<FollowerMark>): void {
  const { pool, manifest } = volumeIn(scene, name);
  const source = { sourceId: SOURCES[name as keyof typeof SOURCES], sourceName: name, sourceUniverse: 0 };
  const follower = { replication: REPLICATION, peer: 'site-b', ...source, members: Object.values(SOURCES), promoted: null, ...changes };
  scene.pools.put(pool, { ...manifest, follower });
}

async function removal(scene: PoolScene, snapshot: string, name = 'db', asker: Asker = LOCAL_ASKER): Promise<string> {
  try {
    await scene.snapshots.remove({ name, universe: 0, snapshot }, asker, null);
    return 'removed';
  } catch (thrown) {
    return `${toRsError(thrown).code}: ${toRsError(thrown).message}`;
  }
}

test('the only moment of a follower stays, whoever asks, and the refusal says how the volume becomes an ordinary one', async () => {
  const scene = await followers({ db: ['m1'], log: ['m1'] });
  for (const asker of [LOCAL_ASKER, CLIENT])
    expect(await removal(scene, 'm1', 'db', asker)).toMatch(/^E_USAGE: Snapshot db@m1 is the newest moment .*rsadm volume promote db/);
  const { pool, manifest } = volumeIn(scene, 'db');
  const byId = scene.snapshots.remove({ id: manifest.id, snapshotId: snapshotsOf({ pool, manifest }).list[0]!.id }, LOCAL_ASKER, null);
  await expect(byId).rejects.toMatchObject({ code: 'E_USAGE' });
});

test('the newest moment that all followers have stays, and each later one, and earlier ones go', async () => {
  const scene = await followers({ db: ['m1', 'm2', 'm3'], log: ['m1', 'm2'] });
  expect([await removal(scene, 'm2'), await removal(scene, 'm2', 'log')].map((one) => one.slice(0, 7))).toEqual(['E_USAGE', 'E_USAGE']);
  // A later moment may be the only copy of its content.
  expect(await removal(scene, 'm3')).toMatch(/^E_USAGE: Snapshot db@m3 /);
  expect(await removal(scene, 'm1')).toBe('removed');
});

test('every moment stays while a pool that may have another follower is absent', async () => {
  const scene = await followers({ db: ['m1', 'm2'] }, true);
  expect(await removal(scene, 'm1')).toMatch(/^E_POOL: Snapshot db@m1 may be the newest moment .*mount the pool, then run rsadm reload/);
  expect(await removal(scene, 'm2')).toMatch(/^E_POOL/);
});

// Regression: an unreadable description of another follower counted as no follower.
test('every moment stays while a volume that may be another follower cannot be read', async () => {
  const scene = await followers({ db: ['m1', 'm2'] });
  const unreadable = scene.pools.states[0]!.unreadable as Set<string>;
  unreadable.add(SOURCES.log);
  expect(await removal(scene, 'm1')).toMatch(/^E_POOL: Snapshot db@m1 may be the newest moment .*rsadm pool check fast/);
  unreadable.clear();
  expect(await removal(scene, 'm1')).toBe('removed');
});

// Regression: only moments that the volume has made itself counted, and the one that was confirmed last was a copy.
test('a copy that may be the confirmed moment of a source stays while the pool of the home is absent', async () => {
  const scene = await followers({ db: ['m1'] }, true);
  const { pool, manifest } = volumeIn(scene, 'db');
  const { follower: _follower, ...own } = manifest;
  const home = '00000000-0000-4000-8000-0000000000e1';
  const id = '00000000-0000-4000-8000-0000000000f2';
  scene.pools.put(pool, { ...own, replication: { id, members: [home, manifest.id], order: null } });
  expect(await removal(scene, 'm1')).toMatch(/^E_POOL: Volume db may be replicated together with a volume/);
});

test('the moment of a promotion that is not finished stays', async () => {
  const scene = await followers({ db: ['m1', 'm2', 'm3'], log: ['m1', 'm2', 'm3'] });
  mark(scene, 'log', { promoted: { group: GROUPS['m2']!, momentMs: 2, atMs: 3 } });
  expect(await removal(scene, 'm2')).toMatch(/^E_USAGE/);
  // The promoted volume is an ordinary one.
  expect(await removal(scene, 'm2', 'log')).toBe('removed');
});

test('the base of a demoted volume stays until a later moment has arrived, and its own other snapshots go', async () => {
  const scene = await followers({ db: [], log: [] });
  for (const name of ['db', 'log']) {
    mark(scene, name, { promoted: { group: REPLICATION, momentMs: 1, atMs: 1 } });
    for (const snapshot of ['base', 'own'])
      await scene.snapshots.snapshot([{ name, universe: 0, snapshot }], LOCAL_ASKER, null, WHOLE_TURN);
    const { pool, manifest } = volumeIn(scene, name);
    const base = snapshotsOf({ pool, manifest }).list[0]!;
    scene.pools.putSnapshots('fast', manifest.id, (all) => ({
      ...all,
      list: all.list.map((one) => (one.id === base.id ? { ...one, group: { ...one.group, id: GROUPS['m1']! } } : one)),
    }));
    mark(scene, name, { base: GROUPS['m1']! });
  }
  expect(await removal(scene, 'base')).toMatch(/^E_USAGE: Snapshot db@base is the newest moment/);
  expect(await removal(scene, 'own')).toBe('removed');
});
