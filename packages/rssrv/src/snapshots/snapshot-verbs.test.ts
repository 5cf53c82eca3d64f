// Tests snapshots, clones and rollbacks by command: refusals, content, changes of a volume that has snapshots, repeated requests, and
// failures of a step or of the moment. snapshot-stops.test.ts stops the server at each step. Rules: G26.

import fs from 'node:fs';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { describe, expect, test } from 'vitest';
import { FailingStep } from '../testing/stopped-verbs.ts';
import { NO_HOLD } from '../testing/plain-clones.ts';
import { DB, directory, MIB, open, pictureOf, usePoolDirectory } from '../testing/pool-directory.ts';
import { PoolScene } from '../testing/pool-scene.ts';
import { Asker, LOCAL_ASKER } from '../pools/asker.ts';
import type { Moments } from '../pools/snapshots/moment.ts';
import { SNAPSHOT_GROUP_MAX, SNAPSHOTS_MAX } from '../pools/limits.ts';
import { withSnapshot } from '../pools/repair/snapshot-repair.ts';
import { type SnapshotName, snapshotsOf } from './snapshot-rules.ts';
import { WHOLE_TURN } from '../testing/whole-turn.ts';

usePoolDirectory();

const MONDAY = { ...DB, snapshot: 'monday' };
const COPY = { name: 'copy', universe: 0 };
const MANAGER = new Asker('big-2', { role: 'manage', pools: null, limitBytes: null });

function files(scene: PoolScene, name = 'db'): { readonly folder: string; readonly data: string } {
  for (const { path: pool, volumes, removed } of scene.pools.states) {
    const there = [...volumes.values()].find((volume) => volume.name === name);
    const gone = [...removed.values()].find(({ manifest }) => manifest.name === name)?.manifest;
    const folder = path.join(pool, there === undefined ? 'removed' : 'volumes', (there ?? gone)?.id ?? '');
    if (there !== undefined || gone !== undefined) return { folder, data: path.join(folder, 'data') };
  }
  throw new Error(`No volume ${name}`);
}

function fill(scene: PoolScene, value: number, name = 'db'): void {
  const { data } = files(scene, name);
  fs.writeFileSync(data, Buffer.alloc(fs.statSync(data).size, value));
}

/** Returns the content as runs of equal bytes, such as `1 x 1048576`. */
function contentOf(scene: PoolScene, name = 'db', file = 'data'): string {
  const content = fs.readFileSync(path.join(files(scene, name).folder, file));
  const runs: string[] = [];
  for (let start = 0; start < content.length; ) {
    const rest = content.subarray(start);
    const differs = rest.findIndex((byte) => byte !== rest[0]);
    const length = differs === -1 ? rest.length : differs;
    runs.push(`${rest[0]} x ${length}`);
    start += length;
  }
  return runs.join(', ');
}

function namesOf(scene: PoolScene, name = 'db'): string[] {
  const [pool] = scene.pools.states;
  const volume = [...pool!.volumes.values(), ...[...pool!.removed.values()].map(({ manifest }) => manifest)].find(
    (one) => one.name === name,
  );
  return snapshotsOf({ pool: pool!, manifest: volume! }).list.map((one) => one.name);
}

async function withMonday(): Promise<PoolScene> {
  const scene = await open();
  await scene.create();
  fill(scene, 1);
  await scene.snapshots.snapshot([MONDAY], LOCAL_ASKER, 'first', WHOLE_TURN);
  fill(scene, 2);
  return scene;
}

test('a snapshot has the content of its moment, and keeps it', async () => {
  const scene = await withMonday();
  expect(contentOf(scene, 'db', 'snapshots/monday.data')).toBe('1 x 1048576');
  await scene.verbs.grow(DB, 2 * MIB, LOCAL_ASKER, null);
  await scene.snapshots.snapshot([{ ...DB, snapshot: 'tuesday' }], LOCAL_ASKER, null, WHOLE_TURN);
  expect(contentOf(scene, 'db', 'snapshots/monday.data')).toBe('1 x 1048576');
  expect(contentOf(scene, 'db', 'snapshots/tuesday.data')).toBe('2 x 1048576, 0 x 1048576');
  expect(namesOf(scene)).toEqual(['monday', 'tuesday']);
  expect(scene.picture()).toBe(await pictureOf(directory));
});

test('the snapshots of a group have one time and one group, and are later than all others although the clock was set back', async () => {
  let nowMs = 2_000;
  const scene = await PoolScene.open(directory, { clock: { ...systemClock, wallMs: () => nowMs } });
  await scene.create();
  await scene.create({ name: 'log' });
  await scene.snapshots.snapshot([MONDAY], LOCAL_ASKER, null, WHOLE_TURN);
  nowMs = 1_000;
  const made = await scene.snapshots.snapshot(
    ['db', 'log'].map((name) => ({ name, universe: 0, snapshot: 'tuesday' })),
    MANAGER,
    null,
    WHOLE_TURN,
  );
  expect(made.map(({ record: { createdMs, creator } }) => [createdMs, creator])).toEqual([
    [2_001, 'big-2'],
    [2_001, 'big-2'],
  ]);
  expect(new Set(made.map(({ record }) => record.group.id)).size).toBe(1);
  await scene.pools.close();
});

describe('refused', () => {
  const refusals: readonly [string, Partial<SnapshotName>, string, RegExp][] = [
    ['a name of digits', { snapshot: '7' }, 'E_USAGE', /Wrong snapshot name "7": allowed is/],
    ['a name with a leading dot', { snapshot: '.new-x' }, 'E_USAGE', /Wrong snapshot name/],
    ['a long name', { snapshot: 'x'.repeat(64) }, 'E_USAGE', /Wrong snapshot name/],
    ['a name that is taken', {}, 'E_EXISTS', /Snapshot db@monday exists: choose another name/],
    ['a volume that does not exist', { name: 'no', snapshot: 'a' }, 'E_UNKNOWN_VOLUME', /No volume no/],
  ];
  test.each(refusals)('%s', async (_what, changes, code, message) => {
    const scene = await withMonday();
    const before = scene.picture();
    const refusal = scene.snapshots.snapshot([{ ...MONDAY, ...changes }], LOCAL_ASKER, null, WHOLE_TURN);
    await expect(refusal).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
    expect(scene.picture()).toBe(before);
    expect(await pictureOf(directory)).toBe(before);
  });

  test('a volume twice, and too many volumes', async () => {
    const scene = await open();
    await scene.create();
    const twice = [
      { ...MONDAY, snapshot: 'a' },
      { ...MONDAY, snapshot: 'b' },
    ];
    await expect(scene.snapshots.snapshot(twice, LOCAL_ASKER, null, WHOLE_TURN)).rejects.toThrow('Volume db is given twice');
    const many = Array.from({ length: SNAPSHOT_GROUP_MAX + 1 }, (_, index) => ({ name: `v${index}`, universe: 0, snapshot: 'a' }));
    await expect(scene.snapshots.snapshot(many, LOCAL_ASKER, null, WHOLE_TURN)).rejects.toThrow(`and ${SNAPSHOT_GROUP_MAX + 1} are given`);
    await expect(scene.snapshots.snapshot([], LOCAL_ASKER, null, WHOLE_TURN)).rejects.toMatchObject({ code: 'E_USAGE' });
  });

  test('more snapshots than a volume may have, also by a rollback', async () => {
    const scene = await withMonday();
    const [state] = scene.pools.states;
    const [volume] = state!.volumes.values();
    const [record] = snapshotsOf({ pool: state!, manifest: volume! }).list;
    scene.pools.putSnapshots('fast', volume!.id, (snapshots) =>
      Array.from({ length: SNAPSHOTS_MAX - 1 }, (_, index) => index).reduce(
        (all, index) => withSnapshot(all, { ...record!, id: String(index), name: `s${index}` }),
        snapshots,
      ),
    );
    const code = 'E_LIMIT';
    await expect(scene.snapshots.snapshot([{ ...DB, snapshot: 'more' }], LOCAL_ASKER, null, WHOLE_TURN)).rejects.toMatchObject({ code });
    await expect(scene.snapshots.rollback(MONDAY, LOCAL_ASKER, null)).rejects.toMatchObject({ code });
  });

  test('what the rights do not permit, and a volume that is for others does not exist', async () => {
    const scene = await withMonday();
    const user = new Asker(MANAGER.node, { ...MANAGER.rights, role: 'use' });
    const verbs: readonly ((asker: Asker) => Promise<unknown>)[] = [
      (asker) => scene.snapshots.snapshot([{ ...DB, snapshot: 'x' }], asker, null, WHOLE_TURN),
      (asker) => scene.snapshots.remove(MONDAY, asker, null),
      (asker) => scene.snapshots.clone(MONDAY, COPY, asker, null, WHOLE_TURN),
      (asker) => scene.snapshots.rollback(MONDAY, asker, null),
    ];
    for (const verb of verbs) await expect(verb(user)).rejects.toMatchObject({ code: 'E_RIGHTS' });
    for (const verb of verbs)
      await expect(verb(new Asker(MANAGER.node, { ...MANAGER.rights, pools: ['slow'] }))).rejects.toMatchObject({ code: 'E_RIGHTS' });
    await scene.verbs.set(DB, { clients: ['venus'] }, LOCAL_ASKER, null);
    for (const verb of verbs) await expect(verb(MANAGER)).rejects.toMatchObject({ code: 'E_UNKNOWN_VOLUME' });
    expect(namesOf(scene)).toEqual(['monday']);
  });

  test('a snapshot that does not exist', async () => {
    const scene = await withMonday();
    const other = { ...DB, snapshot: 'sunday' };
    for (const verb of [
      () => scene.snapshots.remove(other, LOCAL_ASKER, null),
      () => scene.snapshots.clone(other, COPY, LOCAL_ASKER, null, WHOLE_TURN),
      () => scene.snapshots.rollback(other, LOCAL_ASKER, null),
    ])
      await expect(verb()).rejects.toThrow('Volume db has no snapshot "sunday": volume show db lists them');
  });
});

describe('a clone', () => {
  test('begins as the snapshot, for the same clients, and goes its own way', async () => {
    const scene = await withMonday();
    await scene.verbs.set(DB, { clients: ['big-2'] }, LOCAL_ASKER, null);
    const { manifest } = await scene.snapshots.clone(MONDAY, COPY, MANAGER, null, WHOLE_TURN);
    expect(manifest).toMatchObject({ name: 'copy', sizeBytes: MIB, clients: ['big-2'], owner: 'big-2', readonly: false, thick: false });
    expect(scene.served.get('copy@0')?.id).toBe(manifest.id);
    expect(contentOf(scene, 'copy')).toBe('1 x 1048576');
    expect(fs.statSync(files(scene, 'copy').data).mode & 0o777).toBe(0o600);
    fill(scene, 3, 'copy');
    expect(contentOf(scene, 'db', 'snapshots/monday.data')).toBe('1 x 1048576');
    await scene.snapshots.remove(MONDAY, LOCAL_ASKER, null);
    expect(contentOf(scene, 'copy')).toBe('3 x 1048576');
  });

  test('needs a free name, room below the limit of the pool, and room below that of its owner', async () => {
    const scene = await PoolScene.open(directory, { clock: systemClock, limitBytes: 2 * MIB });
    await scene.create();
    await scene.snapshots.snapshot([MONDAY], LOCAL_ASKER, null, WHOLE_TURN);
    const clone = (to: string, asker = LOCAL_ASKER) => scene.snapshots.clone(MONDAY, { name: to, universe: 0 }, asker, null, WHOLE_TURN);
    await expect(clone('db')).rejects.toMatchObject({ code: 'E_EXISTS' });
    await expect(clone('a b')).rejects.toMatchObject({ code: 'E_USAGE' });
    await expect(clone('copy', new Asker(MANAGER.node, { ...MANAGER.rights, limitBytes: MIB - 1 }))).rejects.toMatchObject({
      code: 'E_RIGHTS',
    });
    await clone('copy');
    await expect(clone('third')).rejects.toMatchObject({ code: 'E_SPACE' });
    await scene.pools.close();
  });
});

test('a snapshot that a client has attached is not removed', async () => {
  const scene = await withMonday();
  const [record] = [...scene.pools.states[0]!.snapshots.values()][0]!.list;
  scene.used.add(record!.id);
  await expect(scene.snapshots.remove(MONDAY, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_HELD' });
  expect(namesOf(scene)).toEqual(['monday']);
  scene.used.clear();
  await scene.snapshots.remove(MONDAY, LOCAL_ASKER, null);
  expect(namesOf(scene)).toEqual([]);
});

describe('a rollback', () => {
  test('puts the snapshot in place of the content, which becomes a snapshot', async () => {
    const scene = await withMonday();
    const { kept, manifest } = await scene.snapshots.rollback(MONDAY, LOCAL_ASKER, null);
    expect(contentOf(scene)).toBe('1 x 1048576');
    expect(kept?.name).toMatch(/^before-rollback-\d{8}-\d{6}$/);
    expect(namesOf(scene)).toEqual(['monday', kept?.name]);
    expect(contentOf(scene, 'db', `snapshots/${kept?.name}.data`)).toBe('2 x 1048576');
    expect(scene.served.get('db@0')?.pool?.stamp).toBe(manifest.stamps[0]);
    // Rolls back to the snapshot, and then back to the content before the first rollback.
    await scene.snapshots.rollback({ ...DB, snapshot: kept!.name }, LOCAL_ASKER, null);
    expect(contentOf(scene)).toBe('2 x 1048576');
    expect(new Set(namesOf(scene)).size).toBe(3);
    fill(scene, 9);
    expect(contentOf(scene, 'db', 'snapshots/monday.data')).toBe('1 x 1048576');
    expect(scene.picture()).toBe(await pictureOf(directory));
  });

  test('keeps the size of a volume that has grown: the rest is zeros', async () => {
    const scene = await withMonday();
    await scene.verbs.grow(DB, 2 * MIB, LOCAL_ASKER, null);
    fill(scene, 3);
    await scene.snapshots.rollback(MONDAY, LOCAL_ASKER, null);
    expect(contentOf(scene)).toBe('1 x 1048576, 0 x 1048576');
  });

  test('is refused while a client uses the volume, and changes nothing then', async () => {
    const scene = await withMonday();
    scene.used.add(scene.served.get('db@0')!.id!);
    await expect(scene.snapshots.rollback(MONDAY, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_HELD' });
    expect([namesOf(scene), scene.served.has('db@0')]).toEqual([['monday'], true]);
    expect(contentOf(scene)).toBe('2 x 1048576');
  });

  test('is refused while the data file is not that of the manifest', async () => {
    const scene = await withMonday();
    const { data } = files(scene);
    fs.writeFileSync(`${data}.copy`, Buffer.alloc(MIB, 5));
    fs.renameSync(`${data}.copy`, data);
    await expect(scene.snapshots.rollback(MONDAY, LOCAL_ASKER, null)).rejects.toThrow('is not the file that volume db was created with');
    expect(scene.served.has('db@0')).toBe(true);
  });

  test.each(['clone: data', 'rollback: data', 'snapshot: prepared', 'change: commit', 'rollback: replaced', 'snapshot: commit'])(
    'that fails after step %s leaves a volume that is served as it is on disk',
    async (step) => {
      const failure = new FailingStep(step);
      const scene = await open(failure.reached);
      await scene.create();
      fill(scene, 1);
      await scene.snapshots.snapshot([MONDAY], LOCAL_ASKER, null, WHOLE_TURN);
      fill(scene, 2);
      failure.isOn = true;
      await expect(scene.snapshots.rollback(MONDAY, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_POOL' });
      const before = scene.picture();
      expect(failure.isOn).toBe(false);
      const after = await open();
      const wasMade = ['change: commit', 'rollback: replaced', 'snapshot: commit'].includes(step);
      expect(contentOf(after)).toBe(`${wasMade ? 1 : 2} x 1048576`);
      expect(namesOf(after)).toHaveLength(wasMade ? 2 : 1);
      if (step === 'snapshot: commit') expect(before).toContain('pool fast: EIO');
      else {
        expect(before).toBe(after.picture());
        expect(scene.served.get('db@0')?.pool?.stamp).toBe(after.served.get('db@0')?.pool?.stamp);
      }
    },
  );
});

describe('when the volume', () => {
  test('is removed, its snapshots go and come back with it', async () => {
    const scene = await withMonday();
    await scene.verbs.remove(DB, LOCAL_ASKER, null);
    expect(namesOf(scene)).toEqual(['monday']);
    expect(await pictureOf(directory)).toBe(scene.picture());
    await scene.verbs.restore(DB, LOCAL_ASKER, null);
    expect(await pictureOf(directory)).toBe(scene.picture());
    await scene.snapshots.rollback(MONDAY, LOCAL_ASKER, null);
    expect(contentOf(scene)).toBe('1 x 1048576');
  });

  test('is deleted for good, they are, too', async () => {
    let nowMs = 0;
    const scene = await PoolScene.open(directory, { clock: { ...systemClock, monotonicMs: () => nowMs } });
    await scene.create();
    await scene.snapshots.snapshot([MONDAY], LOCAL_ASKER, null, WHOLE_TURN);
    await scene.verbs.remove(DB, LOCAL_ASKER, null);
    nowMs = 1e12;
    await scene.verbs.purgeExpired();
    expect(fs.readdirSync(path.join(directory, 'fast', 'removed'))).toEqual([]);
    expect(scene.pools.states[0]!.snapshots.size).toBe(0);
    await scene.pools.close();
  });

  test('is renamed, they are those of the new name', async () => {
    const scene = await withMonday();
    await scene.verbs.rename(DB, { name: 'new', universe: 2 }, LOCAL_ASKER, null);
    await scene.snapshots.remove({ name: 'new', universe: 2, snapshot: 'monday' }, LOCAL_ASKER, null);
    expect(namesOf(scene, 'new')).toEqual([]);
  });
});

describe('a repeated request (P5)', () => {
  test('makes no second snapshot, clone or rollback, also after a restart', async () => {
    const first = await withMonday();
    await first.snapshots.clone(MONDAY, COPY, LOCAL_ASKER, 'clone', WHOLE_TURN);
    const { kept } = await first.snapshots.rollback(MONDAY, LOCAL_ASKER, 'back');
    fill(first, 7);
    await first.pools.close();
    const scene = await open();
    const before = scene.picture();
    const [again] = await scene.snapshots.snapshot([MONDAY], LOCAL_ASKER, 'first', WHOLE_TURN);
    expect(again?.record.name).toBe('monday');
    expect((await scene.snapshots.clone(MONDAY, COPY, LOCAL_ASKER, 'clone', WHOLE_TURN)).manifest.name).toBe('copy');
    expect((await scene.snapshots.rollback(MONDAY, LOCAL_ASKER, 'back')).kept).toEqual(kept);
    expect(scene.picture()).toBe(before);
    expect(contentOf(scene)).toBe('7 x 1048576');
    await scene.snapshots.remove({ ...DB, snapshot: kept!.name }, LOCAL_ASKER, 'gone');
    expect((await scene.snapshots.rollback(MONDAY, LOCAL_ASKER, 'back')).kept).toBeNull();
    expect(contentOf(scene)).toBe('7 x 1048576');
  });

  test('removes no later snapshot of the same name', async () => {
    const first = await withMonday();
    await first.snapshots.remove(MONDAY, LOCAL_ASKER, 'gone');
    await first.snapshots.snapshot([MONDAY], LOCAL_ASKER, 'second', WHOLE_TURN);
    await first.pools.close();
    const scene = await open();
    await scene.snapshots.remove(MONDAY, LOCAL_ASKER, 'gone');
    expect(namesOf(scene)).toEqual(['monday']);
  });
});

test('a removal that names an id removes no other snapshot of that name', async () => {
  const scene = await withMonday();
  const [first] = await scene.snapshots.snapshot([{ ...DB, snapshot: 'tuesday' }], LOCAL_ASKER, null, WHOLE_TURN);
  const seen = first!.record.id;
  await scene.snapshots.remove({ ...DB, snapshot: 'tuesday' }, LOCAL_ASKER, null);
  await scene.snapshots.snapshot([{ ...DB, snapshot: 'tuesday' }], LOCAL_ASKER, null, WHOLE_TURN);
  const again = scene.snapshots.remove({ ...DB, snapshot: 'tuesday', onlyId: seen }, LOCAL_ASKER, 'gone');
  await expect(again).rejects.toMatchObject({ code: 'E_UNKNOWN_SNAPSHOT', message: expect.stringContaining('a later one of that name') });
  expect(namesOf(scene)).toEqual(['monday', 'tuesday']);
});

describe('what fails', () => {
  async function withMoments(moments: Moments): Promise<PoolScene> {
    const scene = await PoolScene.open(directory, { clock: systemClock, names: ['fast', 'slow'], moments });
    await scene.create({ pool: 'fast' });
    await scene.create({ name: 'log', pool: 'slow' });
    return scene;
  }
  const both = ['log', 'db'].map((name) => ({ name, universe: 0, snapshot: 'monday' }));

  test('a moment that is not possible leaves nothing, and the next one is', async () => {
    let isBusy = true;
    const scene = await withMoments({
      take: async (copies) => {
        await NO_HOLD.take(isBusy ? copies.slice(1) : copies);
        if (isBusy) throw new RsError('E_SYSTEM', 'A server process does not answer');
      },
    });
    const before = scene.picture();
    await expect(scene.snapshots.snapshot(both, LOCAL_ASKER, null, WHOLE_TURN)).rejects.toThrow('A server process does not answer');
    expect(scene.picture()).toBe(before);
    expect((fs.readdirSync(directory, { recursive: true }) as string[]).filter((name) => /monday/.test(name))).toEqual([]);
    isBusy = false;
    await scene.snapshots.snapshot(both, LOCAL_ASKER, null, WHOLE_TURN);
    expect(scene.picture().match(/^snapshot /gm)).toHaveLength(2);
    await scene.pools.close();
  });

  test('a file that belongs to no snapshot is not overwritten', async () => {
    const scene = await withMonday();
    const file = path.join(files(scene).folder, 'snapshots', 'tuesday.data');
    fs.writeFileSync(file, 'mine');
    const refusal = scene.snapshots.snapshot([{ ...DB, snapshot: 'tuesday' }], LOCAL_ASKER, null, WHOLE_TURN);
    await expect(refusal).rejects.toMatchObject({ code: 'E_EXISTS' });
    expect(fs.readFileSync(file, 'utf8')).toBe('mine');
  });

  test('a data file that is shorter than its volume has no snapshot', async () => {
    const scene = await withMonday();
    fs.truncateSync(files(scene).data, 512);
    const refusal = scene.snapshots.snapshot([{ ...DB, snapshot: 'tuesday' }], LOCAL_ASKER, null, WHOLE_TURN);
    await expect(refusal).rejects.toThrow('has 512 bytes, but the volume has 1048576');
    expect(namesOf(scene)).toEqual(['monday']);
  });
});
