// Tests the gate record of a volume in its pool: every command treats the record like its volume, a damaged record is never read, and a
// scan of the pool does not report the record as unexplained. move-stops.test.ts tests moves. Rules: D2.

import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { DB, directory, open, pictureOf, usePoolDirectory } from '../../testing/pool-directory.ts';
import { POOL_IDS, type PoolScene } from '../../testing/pool-scene.ts';
import { LOCAL_ASKER } from '../asker.ts';
import { WHOLE_TURN } from '../../testing/whole-turn.ts';
import { parseRecord, printRecord } from './gate-record.ts';

usePoolDirectory();

const RECORD = Buffer.from([0, 10, 0xff, 0x7b]);

const write = ({ pools }: PoolScene, id: string, record = RECORD): Promise<void> =>
  pools.onLedger(POOL_IDS[0]!, (files) => files.replaceRecord(id, record));
const read = ({ pools }: PoolScene, id: string): Promise<Buffer | null> => pools.onLedger(POOL_IDS[0]!, (files) => files.readRecord(id));

async function created(): Promise<{ scene: PoolScene; id: string; file: string }> {
  const scene = await open();
  const { id } = (await scene.create()).manifest;
  return { scene, id, file: path.join(directory, 'fast', 'volumes', id, 'gate.record') };
}

test('a record is replaced, and a new volume has none', async () => {
  const { scene, id } = await created();
  expect(await read(scene, id)).toBeNull();
  for (const record of [RECORD, Buffer.alloc(0), Buffer.alloc(61_440, 10)]) {
    await write(scene, id, record);
    expect(await read(scene, id)).toEqual(record);
  }
});

test('a record stays while its volume is renamed, grown, rolled back, removed and restored, and over a restart; its clone has none', async () => {
  const { scene, id } = await created();
  await write(scene, id);
  const to = { name: 'new', universe: 0 };
  await scene.verbs.rename(DB, to, LOCAL_ASKER, null);
  await scene.verbs.grow(to, 2_097_152, LOCAL_ASKER, null);
  const one = { ...to, snapshot: 'one' };
  await scene.snapshots.snapshot([one], LOCAL_ASKER, null, WHOLE_TURN);
  const clone = await scene.snapshots.clone(one, { name: 'clone', universe: 0 }, LOCAL_ASKER, null, WHOLE_TURN);
  expect(await read(scene, clone.manifest.id)).toBeNull();
  await write(scene, id, Buffer.from('later'));
  await scene.snapshots.rollback(one, LOCAL_ASKER, null);
  expect(await read(scene, id)).toEqual(Buffer.from('later'));
  await write(scene, id);
  await scene.verbs.remove(to, LOCAL_ASKER, null);
  await scene.verbs.restore(to, LOCAL_ASKER, null);
  expect(await read(scene, id)).toEqual(RECORD);
  expect(scene.picture()).not.toContain('finding');
  await scene.pools.close();
  expect(await pictureOf(directory)).not.toContain('finding');
  expect(await read(await open(), id)).toEqual(RECORD);
});

test('a removed volume takes its record along: a new volume of the same name has none, and the purge leaves nothing', async () => {
  const { scene, id } = await created();
  await write(scene, id);
  await scene.verbs.remove(DB, LOCAL_ASKER, null);
  const again = (await scene.create()).manifest.id;
  expect(await read(scene, again)).toBeNull();
  await expect(read(scene, id)).rejects.toThrow('ENOENT');
  await expect(write(scene, id)).rejects.toThrow('ENOENT');
  expect(fs.existsSync(path.join(directory, 'fast', 'volumes', id))).toBe(false);
  expect(scene.picture()).not.toContain('finding');
  await scene.verbs.purgeRemoved({ volume: null, id: null, olderMs: 0 }, LOCAL_ASKER);
  expect(fs.readdirSync(path.join(directory, 'fast', 'removed'))).toEqual([]);
});

test('what an interrupted replacement leaves is no finding, and the next one replaces it', async () => {
  const { scene, id, file } = await created();
  await write(scene, id);
  fs.writeFileSync(`${file}.new`, 'half of a rec');
  await scene.pools.close();
  const again = await open();
  expect(again.picture()).not.toContain('finding');
  expect(await read(again, id)).toEqual(RECORD);
  await write(again, id, Buffer.from('next'));
  expect(await read(again, id)).toEqual(Buffer.from('next'));
  expect(fs.existsSync(`${file}.new`)).toBe(false);
});

test('a damaged record, and that of another volume, is an error with its file and the remedy, and never no record', async () => {
  const { scene, id, file } = await created();
  await write(scene, id);
  const good = fs.readFileSync(file);
  const flipped = Buffer.from(good);
  flipped[flipped.length - 1]! ^= 1;
  const wrong = [flipped, good.subarray(0, -1), good.subarray(0, 20), Buffer.alloc(0), Buffer.alloc(70_000), printRecord('other', RECORD)];
  for (const bytes of wrong) {
    fs.writeFileSync(file, bytes);
    await expect(read(scene, id)).rejects.toMatchObject({
      code: 'E_VOLUME',
      message: expect.stringMatching(
        /volumes\/.*\/gate\.record is damaged, or not the gate record .*: restore it .* or .* remove the file/,
      ) as string,
    });
  }
  await write(scene, id, Buffer.from('next'));
  expect(await read(scene, id)).toEqual(Buffer.from('next'));
});

test('a record that ends with what looks like a first line is read as it was written', () => {
  const inner = printRecord('a', Buffer.from('inner\n'));
  expect(parseRecord('file', 'a', printRecord('a', inner))).toEqual(inner);
});
