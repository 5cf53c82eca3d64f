// Tests the opening of a pool after its server has died. The scan syncs the folders before it tells what is there, because the server serves
// the volumes in these folders afterwards. It names each damage, and deletes only what changes have left. test/sim simulates a crash of the
// machine. Rules: C1.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { syncDirectory } from '@rsio/base/files/durable-write';
import { systemClock } from '@rsio/base/lib/clock';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PoolScene } from '../../testing/pool-scene.ts';
import { LOCAL_ASKER } from '../asker.ts';
import { MANIFEST_MAX_BYTES } from '../limits.ts';
import { scanPool } from './pool-scan.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { unsealed } from '@rsio/base/testing/unsealed';

const synced = vi.hoisted((): string[] => []);

vi.mock('@rsio/base/files/durable-write', async (original) => {
  const actual: { syncDirectory: typeof syncDirectory } = await original();
  return {
    ...actual,
    syncDirectory: async (directory: string) => {
      synced.push(directory);
      await actual.syncDirectory(directory);
    },
  };
});

let directory = '';

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-scan-'));
});

afterEach(() => removeFolder(directory));

test('syncs the folders of a pool and of its volumes before it tells what is there, and only with the lock', async () => {
  const scene = await PoolScene.open(directory, { clock: systemClock });
  const kept = await scene.create();
  const removed = await scene.create({ name: 'gone' });
  await scene.verbs.remove({ name: 'gone', universe: 0 }, LOCAL_ASKER, null);
  await scene.pools.close();
  const pool = path.join(directory, 'fast');
  const identity = { id: '00000000-0000-4000-8000-00000000000a' as const, createdMs: 0 };
  synced.length = 0;
  await scanPool(pool, identity, false);
  expect(synced).toEqual([]);
  await scanPool(pool, identity, true);
  expect(synced.map((one) => path.relative(pool, one))).toEqual([
    'volumes',
    'removed',
    `volumes/${kept.manifest.id}`,
    `removed/${removed.manifest.id}`,
  ]);
});

const POOL_ID = '00000000-0000-4000-8000-00000000000a';
const idOf = (number: number): string => `11111111-0000-4000-8000-${String(number).padStart(12, '0')}`;

/** What may be wrong with the folder of a volume. Each changes the folder of a good volume. `json`: the manifest. */
const FAULTS: Readonly<Record<string, (folder: string, json: string) => void>> = {
  'no manifest': (folder) => fs.rmSync(path.join(folder, 'volume.json')),
  'no JSON': (folder) => fs.writeFileSync(path.join(folder, 'volume.json'), '{'),
  'a folder as manifest': (folder) => {
    fs.rmSync(path.join(folder, 'volume.json'));
    fs.mkdirSync(path.join(folder, 'volume.json'));
  },
  'too long': (folder) => fs.writeFileSync(path.join(folder, 'volume.json'), ' '.repeat(MANIFEST_MAX_BYTES + 1)),
  'of another volume': (folder, json) => fs.writeFileSync(path.join(folder, 'volume.json'), json.replace(path.basename(folder), idOf(999))),
  'a foreign file': (folder) => fs.writeFileSync(path.join(folder, 'zz'), ''),
  'left by a removal': (folder) => fs.writeFileSync(path.join(folder, 'removed.json'), '{}'),
  'left by changes': (folder) => {
    for (const name of ['removed.json.new', 'volume.json.new', 'mirror.map', 'mirror.map.new'])
      fs.writeFileSync(path.join(folder, name), 'x');
  },
  'with snapshots': (folder) => fs.mkdirSync(path.join(folder, 'snapshots')),
};

/**
 * Makes a pool with one volume of each fault, and `plain` good volumes, and scans it. Returns what was found, without the good volumes, and
 * the files that are left in the folders with faults.
 */
async function scanFaults(name: string, plain: number): Promise<object> {
  const scene = await PoolScene.open(path.join(directory, name), { clock: systemClock });
  const { manifest } = await scene.create();
  await scene.pools.close();
  const pool = path.join(directory, name, 'fast');
  const model = path.join(pool, 'volumes', manifest.id);
  const json = unsealed(fs.readFileSync(path.join(model, 'volume.json'), 'utf8'));
  fs.rmSync(model, { recursive: true });
  const folderOf = (number: number): string => path.join(pool, 'volumes', idOf(number));
  const make = (number: number): [string, string] => {
    const own = json.replace(manifest.id, idOf(number));
    fs.mkdirSync(folderOf(number));
    fs.writeFileSync(path.join(folderOf(number), 'data'), '');
    fs.writeFileSync(path.join(folderOf(number), 'volume.json'), own);
    return [folderOf(number), own];
  };
  const faults = Object.values(FAULTS);
  for (const [index, fault] of faults.entries()) fault(...make(index));
  for (let number = 100; number < 100 + plain; number++) make(number);
  fs.mkdirSync(path.join(pool, 'volumes', 'no-id'));
  fs.writeFileSync(folderOf(50), 'not a folder');
  const found = await scanPool(pool, { id: POOL_ID, createdMs: 0 }, true);
  const volumes = found.volumes.map(({ id }) => id).filter((id) => id < idOf(100));
  expect(found.volumes).toHaveLength(volumes.length + plain);
  return {
    volumes,
    unreadable: [...found.unreadable].toSorted(),
    withSnapshots: [...found.withSnapshots],
    findings: found.findings.map((text) => text.replaceAll(pool, 'POOL')).toSorted(),
    files: faults.map((_, index) => fs.readdirSync(folderOf(index))),
  };
}

test('each damaged folder is named, good ones are found, and only what changes have left is deleted', async () => {
  expect(await scanFaults('damaged', 3)).toEqual({
    volumes: [5, 6, 7, 8].map(idOf),
    unreadable: [0, 1, 2, 3, 4].map(idOf),
    withSnapshots: [idOf(8)],
    findings: [
      expect.stringMatching(/000 cannot be read|volume\.json cannot be read \(ENOENT\)/),
      expect.stringContaining('is not JSON'),
      expect.stringContaining('cannot be read (EISDIR)'),
      expect.stringContaining(`has ${MANIFEST_MAX_BYTES + 1} bytes, allowed are ${MANIFEST_MAX_BYTES}`),
      expect.stringContaining(`belongs to volume id ${idOf(999)}, not to this folder`),
      `POOL/volumes/${idOf(5)}/zz does not belong to the volume`,
      `POOL/volumes/${idOf(50)} does not belong to the pool`,
      'POOL/volumes/no-id does not belong to the pool',
    ],
    files: [
      ['data'],
      ...Array.from({ length: 4 }, () => ['data', 'volume.json']),
      ['data', 'volume.json', 'zz'],
      ...Array.from({ length: 2 }, () => ['data', 'volume.json']),
      ['data', 'snapshots', 'volume.json'],
    ],
  });
});
