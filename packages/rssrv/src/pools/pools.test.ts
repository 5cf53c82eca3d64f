// Tests pools on disk: the result of each verb, repeated requests, refusals, and a check of a pool in use. pool-stops.test.ts stops the
// server at each step; pool-troubles.test.ts tests pools that cannot be used. Rules: C2, C4.

import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { unsealed } from '@rsio/base/testing/unsealed';
import { describe, expect, test } from 'vitest';
import { createRequest, PoolScene } from '../testing/pool-scene.ts';
import { type Asker, clientAsker, LOCAL_ASKER } from './asker.ts';
import { asking } from '../testing/asking.ts';
import { parseManifest, printManifest } from './disk/manifest.ts';
import { DB, MIB, directory, open, pictureOf, scenes, usePoolDirectory } from '../testing/pool-directory.ts';
import { WHOLE_TURN } from '../testing/whole-turn.ts';

usePoolDirectory();

describe('each verb', () => {
  test('create makes a sparse file of the size, and a manifest that a second server could read', async () => {
    const scene = await open();
    const { manifest } = await scene.create({ clients: ['big-2'] });
    const folder = path.join(directory, 'fast/volumes', manifest.id);
    const { size, blocks, mode } = fs.statSync(path.join(folder, 'data'));
    expect([size, blocks, mode & 0o777]).toEqual([MIB, 0, 0o600]);
    const text = fs.readFileSync(path.join(folder, 'volume.json'), 'utf8');
    expect(parseManifest('volume.json', text)).toEqual(manifest);
    expect(printManifest(manifest)).toBe(text);
    expect([...scene.served.values()]).toMatchObject([
      { name: 'db', sizeBytes: MIB, clients: ['big-2'], id: manifest.id, pool: { name: 'fast' } },
    ]);
  });

  test('set writes rules by the calendar apart, so that an older server goes on with the other rules', async () => {
    const scene = await open();
    const { manifest } = await scene.create();
    const file = path.join(directory, 'fast/volumes', manifest.id, 'volume.json');
    const written = async (schedule: string | null): Promise<unknown[]> => {
      await scene.verbs.set(DB, { schedule }, LOCAL_ASKER, null);
      const text = fs.readFileSync(file, 'utf8');
      const { version, schedule: older, wholeSchedule } = JSON.parse(text);
      expect(parseManifest(file, text)).toEqual([...scene.pools.states[0]!.volumes.values()][0]);
      expect(parseManifest(file, text).schedule ?? null).toBe(schedule);
      return [version, older, wholeSchedule];
    };
    const whole = 'monthly keep 12, hourly keep 24, yearly keep 3, daily keep 7';
    expect(await written(whole)).toEqual([1, 'hourly keep 24, daily keep 7', whole]);
    expect(await written('monthly keep 12')).toEqual([1, undefined, 'monthly keep 12']);
    expect(await written('daily keep 7, hourly keep 24')).toEqual([1, 'daily keep 7, hourly keep 24', undefined]);
    expect(await written(null)).toEqual([1, undefined, undefined]);
    const damaged = JSON.stringify({ ...JSON.parse(unsealed(fs.readFileSync(file, 'utf8'))), wholeSchedule: 'fortnightly keep 2' });
    expect(() => parseManifest(file, damaged)).toThrow('wholeSchedule');
  });

  test('grow extends the file, and the old content stays', async () => {
    const scene = await open();
    const { manifest } = await scene.create();
    const data = path.join(directory, 'fast/volumes', manifest.id, 'data');
    fs.writeFileSync(data, Buffer.alloc(MIB, 7));
    await scene.verbs.grow(DB, 2 * MIB, LOCAL_ASKER, null);
    const content = fs.readFileSync(data);
    expect([content.length, content[MIB - 1], content[MIB]]).toEqual([2 * MIB, 7, 0]);
    expect(scene.served.get('db@0')?.sizeBytes).toBe(2 * MIB);
  });

  test('grow does not fill a truncated file with zeros', async () => {
    const scene = await open();
    const { manifest } = await scene.create();
    const data = path.join(directory, 'fast/volumes', manifest.id, 'data');
    fs.truncateSync(data, MIB / 2);
    await expect(scene.verbs.grow(DB, 2 * MIB, LOCAL_ASKER, null)).rejects.toThrow(/has 524288 bytes, but the volume has 1048576: restore/);
    expect(fs.statSync(data).size).toBe(MIB / 2);
  });

  test('remove keeps the content, restore brings it back, and the name is free in between', async () => {
    const scene = await open();
    const { manifest } = await scene.create();
    fs.writeFileSync(path.join(directory, 'fast/volumes', manifest.id, 'data'), Buffer.alloc(MIB, 9));
    await scene.verbs.remove(DB, LOCAL_ASKER, null);
    expect(scene.served.size).toBe(0);
    await scene.create({ sizeBytes: 2 * MIB });
    await expect(scene.verbs.restore(DB, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_EXISTS' });
    await scene.verbs.rename(DB, { name: 'other', universe: 0 }, LOCAL_ASKER, null);
    await scene.verbs.restore(DB, LOCAL_ASKER, null);
    expect([...scene.served.keys()].toSorted()).toEqual(['db@0', 'other@0']);
    expect(fs.readFileSync(path.join(directory, 'fast/volumes', manifest.id, 'data'))[0]).toBe(9);
  });

  test('a volume in use is neither renamed nor removed, and nothing changes on disk', async () => {
    const scene = await open();
    const { manifest } = await scene.create();
    scene.used.add(manifest.id);
    const before = scene.picture();
    await expect(scene.verbs.remove(DB, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_HELD' });
    await expect(scene.verbs.rename(DB, { name: 'x', universe: 0 }, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_HELD' });
    expect(await pictureOf(directory)).toBe(before);
  });
});

describe('rights', () => {
  // For each verb: the words with which its refusal says what the verb does, and a call of the verb.
  const SNAPSHOT = { ...DB, snapshot: 'monday' };
  const NEW = { name: 'new', universe: 0 };
  const VERBS: readonly [string, (scene: PoolScene, asker: Asker) => Promise<unknown>][] = [
    ['create volumes', ({ verbs }, asker) => verbs.create(createRequest({ name: 'new', pool: 'fast' }), asker, null)],
    ['grow volumes', ({ verbs }, asker) => verbs.grow(DB, 2 * MIB, asker, null)],
    ['rename volumes', ({ verbs }, asker) => verbs.rename(DB, NEW, asker, null)],
    ['change volumes', ({ verbs }, asker) => verbs.set(DB, { readonly: true }, asker, null)],
    ['remove volumes', ({ verbs }, asker) => verbs.remove(DB, asker, null)],
    ['restore volumes', ({ verbs }, asker) => verbs.restore({ name: 'gone', universe: 0 }, asker, null)],
    ['make snapshots', ({ snapshots }, asker) => snapshots.snapshot([{ ...SNAPSHOT, snapshot: 'other' }], asker, null, WHOLE_TURN)],
    ['remove snapshots', ({ snapshots }, asker) => snapshots.remove(SNAPSHOT, asker, null)],
    ['clone snapshots', ({ snapshots }, asker) => snapshots.clone(SNAPSHOT, NEW, asker, null, WHOLE_TURN)],
    ['roll volumes back', ({ snapshots }, asker) => snapshots.rollback(SNAPSHOT, asker, null)],
    ['make images', ({ images }, asker) => images.image(DB, 1, asker, null)],
  ];

  test.each(VERBS)('to %s needs the right manage and the pool; a refusal changes nothing', async (what, verb) => {
    const scene = await open();
    await scene.create({ name: 'gone' });
    await scene.verbs.remove({ name: 'gone', universe: 0 }, LOCAL_ASKER, null);
    await scene.create();
    await scene.snapshots.snapshot([SNAPSHOT], LOCAL_ASKER, null, WHOLE_TURN);
    const before = await pictureOf(directory);
    const right = (role: 'use' | 'manage', pool: string): Asker =>
      clientAsker('big-2', asking([{ name: 'big-2', role, pools: [pool], limitBytes: null, line: 1 }]));
    await expect(verb(scene, right('use', 'fast'))).rejects.toThrow(`Client big-2 may not ${what}: its right is use, and manage is needed`);
    await expect(verb(scene, right('manage', 'slow'))).rejects.toThrow('Client big-2 may not change pool fast: its pools are slow');
    expect(await pictureOf(directory)).toBe(before);
    await verb(scene, right('manage', 'fast'));
    expect(await pictureOf(directory)).not.toBe(before);
  });
});

describe('what the next start could not read is refused', () => {
  test.each([
    ['clients that are no names', { clients: ['big 2'] }, null],
    ['names that are no names', { takeOver: [''] }, null],
    ['a request id with a space', {}, 'a b'],
    ['a long request id', {}, 'x'.repeat(65)],
  ])('%s', async (_, changes, request) => {
    const scene = await open();
    await expect(scene.create(changes, LOCAL_ASKER, request)).rejects.toMatchObject({ code: 'E_USAGE' });
    await scene.create();
    if (request !== null) await expect(scene.verbs.remove(DB, LOCAL_ASKER, request)).rejects.toMatchObject({ code: 'E_USAGE' });
    expect(scene.served.size).toBe(1);
    await scene.pools.close();
    const [state] = (await open()).pools.states;
    expect([state?.volumes.size, state?.findings]).toEqual([1, []]);
  });
});

describe('a repeated request (P5)', () => {
  test('is answered without being executed again, also after a restart', async () => {
    const scene = await open();
    const id = randomUUID();
    const first = await scene.create({}, LOCAL_ASKER, id);
    const again = await scene.create({}, LOCAL_ASKER, id);
    expect(again.manifest.id).toBe(first.manifest.id);
    await scene.pools.close();
    const next = await open();
    expect((await next.create({}, LOCAL_ASKER, id)).manifest.id).toBe(first.manifest.id);
    const removal = randomUUID();
    await next.verbs.remove(DB, LOCAL_ASKER, removal);
    expect((await next.verbs.remove(DB, LOCAL_ASKER, removal)).manifest.id).toBe(first.manifest.id);
  });
});

describe('a check of a pool in use', () => {
  test('finds what came and what is gone, and forgets what was put right', async () => {
    const scene = await open();
    const { manifest } = await scene.create();
    const findings = async (): Promise<string[]> => {
      await scene.pools.check('fast');
      return scene.pools.states[0]!.findings.map((finding) => finding.replaceAll(directory, ''));
    };
    expect(await findings()).toEqual([]);
    const [stray, folder] = [path.join(directory, 'fast/notes.txt'), path.join(directory, 'fast/volumes', manifest.id)];
    fs.writeFileSync(stray, '');
    fs.renameSync(folder, `${directory}/elsewhere`);
    expect(await findings()).toEqual([
      `/fast/volumes/${manifest.id} of volume db is missing: restore it from a backup of the pool`,
      '/fast/notes.txt does not belong to the pool',
    ]);
    expect([...scene.pools.states[0]!.volumes.keys()], 'the volume is served as before').toEqual([manifest.id]);
    fs.rmSync(stray);
    fs.renameSync(`${directory}/elsewhere`, folder);
    expect(await findings()).toEqual([]);
  });

  test('of an unknown pool changes nothing', async () => {
    const scene = await open();
    fs.writeFileSync(path.join(directory, 'fast/notes.txt'), '');
    await scene.pools.check('slow');
    expect(scene.pools.states[0]!.findings).toEqual([]);
  });

  test('changes nothing on disk, also not what a stopped change left', async () => {
    const scene = await open();
    await scene.create();
    const left = path.join(directory, 'fast/volumes/.new-00000000-0000-4000-8000-00000000000b');
    fs.mkdirSync(left);
    await scene.pools.check('fast');
    expect(fs.existsSync(left)).toBe(true);
    expect(scene.pools.states[0]!.findings).toEqual([]);
  });
});

test('a removed volume whose name is in use again is restored after the other one was renamed', async () => {
  const scene = await open();
  const { manifest } = await scene.create();
  await scene.verbs.remove(DB, LOCAL_ASKER, null);
  await scene.create();
  await expect(scene.verbs.restore(DB, LOCAL_ASKER, null)).rejects.toThrow('Volume db exists: rename that one first');
  await scene.verbs.rename(DB, { name: 'db2', universe: 0 }, LOCAL_ASKER, null);
  expect((await scene.verbs.restore(DB, LOCAL_ASKER, null)).manifest.id).toBe(manifest.id);
});

// Found by the simulator, seed 460.
test('restore brings back the volume that was removed last, although the clock was set back in between', async () => {
  const clock = new FakeClock();
  const scene = await PoolScene.open(directory, { clock });
  scenes.push(scene);
  await scene.create();
  await scene.verbs.remove(DB, LOCAL_ASKER, null);
  clock.jumpWall(-3_600_000);
  const { manifest } = await scene.create();
  await scene.verbs.remove(DB, LOCAL_ASKER, null);
  expect((await scene.verbs.restore(DB, LOCAL_ASKER, null)).manifest.id).toBe(manifest.id);
});
