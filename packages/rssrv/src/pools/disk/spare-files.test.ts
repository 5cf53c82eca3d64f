// Tests a pool on a full file system: changes that free space use the spare files, and the spare files are made again when the file system
// has room. The file system is a tmpfs that the test mounts. The tests are skipped if this process may not mount. Rules: G16.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { needPrograms } from '@rsio/base/testing/needs';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PoolScene } from '../../testing/pool-scene.ts';
import { LOCAL_ASKER } from '../asker.ts';
import { SPARE_BYTES, SPARE_FILES } from '../limits.ts';
import { WHOLE_TURN } from '../../testing/whole-turn.ts';

const MIB = 1024 * 1024;
const DB = { name: 'db', universe: 0 };
let directory = '';
let scene: PoolScene;

beforeEach(async (context) => {
  needPrograms(context, 'mount', 'umount');
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-spare-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'rsio-test', directory], { stdio: 'ignore' });
  context.skip(mounted.status !== 0, 'needs the right to mount (root, CAP_SYS_ADMIN)');
  scene = await PoolScene.open(directory, { clock: systemClock });
});

afterEach(async () => {
  await scene.pools.close();
  spawnSync('umount', ['--lazy', directory], { stdio: 'ignore' });
  await removeFolder(directory);
});

const inPool = (...names: string[]): string => path.join(directory, 'fast', ...names);
const spares = (): number[] => fs.readdirSync(inPool('spare')).map((name) => fs.statSync(inPool('spare', name)).size);
const ids = (where: string): number => fs.readdirSync(inPool(where)).length;

function fillUp(): void {
  const file = fs.openSync(path.join(directory, 'of-others'), 'a');
  try {
    for (;;) fs.writeSync(file, Buffer.alloc(4096, 1));
  } catch (thrown) {
    expect(thrown).toMatchObject({ code: 'ENOSPC' });
  } finally {
    fs.closeSync(file);
  }
}

test('on a file system that others filled, snapshots and volumes are removed and deleted, and then the spare files are made again', async () => {
  for (const name of ['db', 'log']) {
    const { manifest } = await scene.create({ name, sizeBytes: MIB });
    fs.writeFileSync(inPool('volumes', manifest.id, 'data'), Buffer.alloc(MIB, 7));
  }
  await scene.snapshots.snapshot([{ ...DB, snapshot: 'monday' }], LOCAL_ASKER, null, WHOLE_TURN);
  await scene.pools.fillSpare();
  expect(spares()).toEqual(Array(SPARE_FILES).fill(SPARE_BYTES));
  fillUp();
  await scene.snapshots.remove({ ...DB, snapshot: 'monday' }, LOCAL_ASKER, null);
  fillUp();
  await scene.verbs.set(DB, { readonly: true }, LOCAL_ASKER, null);
  fillUp();
  await scene.verbs.remove(DB, LOCAL_ASKER, null);
  expect([ids('volumes'), ids('removed'), spares().length]).toEqual([1, 1, SPARE_FILES - 3]);
  fillUp();
  await scene.verbs.purgeRemoved({ volume: null, id: null, olderMs: 0 }, LOCAL_ASKER);
  expect(ids('removed')).toBe(0);
  fs.rmSync(path.join(directory, 'of-others'));
  await scene.pools.measure();
  await scene.pools.fillSpare();
  expect(spares()).toEqual(Array(SPARE_FILES).fill(SPARE_BYTES));
  const before = scene.picture();
  expect(before).not.toContain('finding');
  await scene.pools.close();
  expect(await PoolScene.picture(directory, { clock: systemClock })).toBe(before);
});

test('without spare files, a removal on a full file system is refused, and changes nothing', async () => {
  await scene.create();
  fillUp();
  const before = scene.picture();
  await expect(scene.verbs.remove(DB, LOCAL_ASKER, null)).rejects.toThrow(/cannot be changed \(ENOSPC\): free space there/);
  expect(scene.picture()).toBe(before);
});
