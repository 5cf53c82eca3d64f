// Tests a start with files of snapshots: the scan finishes or deletes the files of interrupted changes, and reports and keeps unexplained
// files. If another pool decides whether files stay, the scan keeps these files until that pool is open. Rules: G26.

import fs from 'node:fs';
import path from 'node:path';
import { AssertionError } from '@rsio/base/lib/assert';
import { beforeEach, expect, test } from 'vitest';
import { directory, open, pictureOf, usePoolDirectory } from '../../testing/pool-directory.ts';
import { NO_RANGES } from '../../testing/plain-clones.ts';
import { POOL_IDS, PoolScene } from '../../testing/pool-scene.ts';
import { systemClock } from '@rsio/base/lib/clock';
import type { Found } from '../catalogue.ts';
import { PoolFiles } from '../disk/pool-files.ts';
import { POOL_CHANGE_MS } from '../limits.ts';
import { checkSnapshots, withMaking, withPending, withSnapshot } from '../repair/snapshot-repair.ts';
import { SnapshotFiles } from './snapshot-files.ts';
import { NO_SNAPSHOTS } from './snapshot-scan.ts';
import { printSnapshot, printSnapshotRemoval, type SnapshotRecord } from './snapshot-record.ts';

usePoolDirectory();

let found: Found;
let at = '';

beforeEach(async () => {
  const scene = await open();
  found = await scene.create();
  at = path.join(directory, 'fast', 'volumes', found.manifest.id, 'snapshots');
});

function record(name: string, changes: Partial<SnapshotRecord> = {}): SnapshotRecord {
  const { id: volumeId, sizeBytes, blockSizeBytes } = found.manifest;
  const base = { volumeId, sizeBytes, blockSizeBytes, createdMs: 1, creator: null, rollback: null, request: null };
  return { ...base, id: crypto.randomUUID(), name, group: { id: crypto.randomUUID(), poolId: POOL_IDS[0]!, volumeId }, ...changes };
}

/** Writes files. A file without given content gets data of the right size. */
function write(files: Readonly<Record<string, string | null>>): void {
  fs.mkdirSync(at, { recursive: true });
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(at, name), text ?? Buffer.alloc(found.manifest.sizeBytes));
}

async function read(): Promise<{ names: readonly string[]; pending: readonly string[]; findings: readonly string[]; files: string[] }> {
  const scene = await open();
  const [state] = scene.pools.states;
  const { list, pending } = state!.snapshots.get(found.manifest.id) ?? { list: [], pending: [] };
  const picture = scene.picture();
  expect(await pictureOf(directory), 'the second start finds the same').toBe(picture);
  return {
    names: list.map(({ name }) => name),
    pending: pending.map(({ name }) => name),
    findings: picture.split('\n').filter((line) => line.startsWith('finding')),
    files: fs.readdirSync(at).toSorted(),
  };
}

test('a snapshot that the steps have made is there, and is as large as its volume', async () => {
  const scene = await open();
  const monday = record('monday');
  await scene.pools.onDisk('fast', POOL_CHANGE_MS, async (files) => {
    const snapshots = new SnapshotFiles(files);
    await snapshots.makePrepared(monday);
    await snapshots.commit('monday', path.dirname(at));
  });
  expect(await read()).toMatchObject({ names: ['monday'], findings: [], files: ['monday.data', 'monday.json'] });
  await scene.pools.onDisk('fast', POOL_CHANGE_MS, (files) => new SnapshotFiles(files).remove(monday, 'r'));
  expect(await read()).toMatchObject({ names: [], findings: [], files: ['last-removal'] });
});

test('a file system without reflink is named with the remedy, and nothing is left', async () => {
  const scene = await open();
  const refusal = scene.pools.onDisk('fast', POOL_CHANGE_MS, ({ directory: pool, ports }) => {
    const cloneFile = async (): Promise<void> => Promise.reject(Object.assign(new Error('ENOTSUP'), { code: 'ENOTSUP' }));
    const reflink = { cloneFile, ranges: NO_RANGES };
    return new SnapshotFiles(new PoolFiles(pool, { ...ports, reflink })).begin(record('monday'));
  });
  await expect(refusal).rejects.toMatchObject({
    code: 'E_NO_REFLINK',
    message: expect.stringContaining('mkfs.xfs -m reflink=1') as string,
  });
  expect((await read()).files).toEqual([]);
});

test('what was not committed is removed', async () => {
  write({ '.new-a.data': null, '.new-b.json': printSnapshot(record('b')), '.new-c.json.new': '{', 'last-removal.new': '' });
  write({ '.new-d.data': null, '.new-d.json': printSnapshot(record('d')) });
  expect(await read()).toEqual({ names: [], pending: [], findings: [], files: [] });
});

test('what was committed is finished', async () => {
  write({ 'a.json': printSnapshot(record('a')), '.new-a.data': null });
  write({ 'b.json': printSnapshot(record('b', { createdMs: 0 })), 'b.data': null });
  expect(await read()).toMatchObject({ names: ['b', 'a'], findings: [], files: ['a.data', 'a.json', 'b.data', 'b.json'] });
});

test('a removal that was committed is finished, and another snapshot of the name stays', async () => {
  const [gone, kept] = [record('gone'), record('kept')];
  write({ 'gone.json': printSnapshot(gone), 'gone.data': null, 'last-removal': printSnapshotRemoval({ ...gone, request: null }) });
  write({ 'kept.json': printSnapshot(kept), 'kept.data': null });
  expect(await read()).toMatchObject({ names: ['kept'], findings: [], files: ['kept.data', 'kept.json', 'last-removal'] });
  write({ 'gone.json': printSnapshot(record('gone')), 'gone.data': null });
  expect(await read()).toMatchObject({ names: ['gone', 'kept'].toSorted(), findings: [] });
});

test('what nothing explains is reported and stays', async () => {
  const files = {
    'a.data': null,
    'b.json': printSnapshot(record('b')),
    'c.json': '{',
    'c.data': null,
    'd.json': printSnapshot(record('e')),
    'd.data': null,
    'f.json': printSnapshot(record('f')),
    'f.data': 'short',
    note: '',
    '12.json': '',
    good: '',
  };
  write(files);
  const { names, findings, files: left } = await read();
  expect(names).toEqual([]);
  expect(left).toEqual(Object.keys(files).toSorted());
  expect(findings.join('\n')).toMatch(
    new RegExp(
      [
        '12.json belongs to no snapshot',
        'a.data is the data of a snapshot without its description',
        'b.json describes a snapshot whose data is missing',
        'c.json is damaged',
        'd.json describes another snapshot, e',
        'f.data has 5 bytes',
        'good belongs to no snapshot',
        'note belongs to no snapshot',
      ].join('[^]*'),
    ),
  );
});

test('a prepared snapshot of a group waits for the pool of the group, and follows it', async () => {
  const names = ['fast', 'slow'];
  const options = { clock: systemClock, names };
  const home = await PoolScene.open(directory, options);
  const { manifest: other } = await home.create({ name: 'other', pool: 'slow' });
  await home.pools.close();
  const folder = path.join(directory, 'slow', 'volumes', other.id, 'snapshots');
  const group = { id: crypto.randomUUID(), poolId: POOL_IDS[0]!, volumeId: found.manifest.id };
  const second = (name: string, id: string): SnapshotRecord => record(name, { volumeId: other.id, group: { ...group, id } });
  fs.mkdirSync(folder);
  for (const [name, id] of [
    ['made', group.id],
    ['lost', crypto.randomUUID()],
  ] as const) {
    fs.writeFileSync(path.join(folder, `.new-${name}.json`), printSnapshot(second(name, id)));
    fs.writeFileSync(path.join(folder, `.new-${name}.data`), Buffer.alloc(other.sizeBytes));
  }
  write({ 'made.json': printSnapshot(record('made', { group })), '.new-made.data': null });
  const away = `${directory}-away`;
  fs.renameSync(path.join(directory, 'fast'), away);
  expect(await PoolScene.picture(directory, { ...options, absent: ['fast'] })).toMatch(
    /pending snapshot lost\npending snapshot made\n[^]*finding Snapshot lost .*mount that pool/,
  );
  fs.renameSync(away, path.join(directory, 'fast'));
  // While a snapshot of the home cannot be read, no file is deleted.
  fs.writeFileSync(path.join(at, 'x.json'), '{');
  expect(await PoolScene.picture(directory, options)).toMatch(/snapshot \{.*"name":"made".*\n[^]*pending snapshot lost/);
  fs.rmSync(path.join(at, 'x.json'));
  const picture = await PoolScene.picture(directory, options);
  expect(picture).not.toMatch(/pending|finding/);
  expect(picture.match(/^snapshot .*"name":"made"/gm)).toHaveLength(2);
  expect(fs.readdirSync(folder).toSorted()).toEqual(['made.data', 'made.json']);
});

test('a snapshot of a rollback exists once the manifest has the new file', async () => {
  const [stamp = null] = found.manifest.stamps;
  write({ '.new-a.json': printSnapshot(record('a', { rollback: stamp })), '.new-a.data': null });
  write({ '.new-b.json': printSnapshot(record('b', { rollback: 'another' })), '.new-b.data': null });
  expect(await read()).toMatchObject({ names: ['a'], pending: [], findings: [], files: ['a.data', 'a.json'] });
});

test('a new data file replaces the old one if the manifest has its stamp, is removed if not, and stays if neither has it', async () => {
  const folder = path.dirname(at);
  const [data, next] = [path.join(folder, 'data'), path.join(folder, 'data.new')];
  fs.mkdirSync(at);
  fs.writeFileSync(next, 'x');
  expect((await read()).findings).toEqual([]);
  expect([fs.existsSync(next), fs.statSync(data).size]).toEqual([false, found.manifest.sizeBytes]);
  fs.renameSync(data, next);
  expect((await read()).findings).toEqual([]);
  expect([fs.existsSync(next), fs.statSync(data).size]).toEqual([false, found.manifest.sizeBytes]);
  // Replaces the files by copies, so that they have other stamps, as in a copy of the pool.
  for (const file of [data, next]) fs.writeFileSync(`${file}.copy`, Buffer.alloc(4));
  for (const file of [data, next]) fs.renameSync(`${file}.copy`, file);
  const picture = await pictureOf(directory);
  expect(picture).toMatch(/finding .*data\.new was left by a rollback, and neither/);
  expect([fs.existsSync(next), fs.existsSync(data)]).toEqual([true, true]);
});

test('a snapshot that counts twice is a mistake of the server, unless the pool had it twice', () => {
  const one = record('monday');
  const making = withMaking(NO_SNAPSHOTS, one);
  checkSnapshots(making, withPending(making, one));
  expect(() => checkSnapshots(making, withSnapshot(making, one))).toThrow(AssertionError);
  const copied = { ...NO_SNAPSHOTS, list: [one, { ...one, name: 'copy' }] };
  checkSnapshots(copied, withMaking(copied, record('tuesday')));
});
