// Tests the file with the snapshots that may be open at peers: it survives a restart, is bounded, and a damaged one is refused with a
// remedy. state-file.test.ts tests the durability of such files.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { expect, onTestFinished, test } from 'vitest';
import { OPEN_SNAPSHOTS_MAX } from '../limits.ts';
import { OpenSnapshots } from './open-snapshots.ts';

function newFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rsio-open-'));
  onTestFinished(() => removeFolder(folder));
  return join(folder, 'state', 'open-snapshots.json');
}

const place = (name: string, peer = 'oslo-1') => ({ peer, name, universe: 0 });

test('what was added is there after a restart, until it is removed', async () => {
  const file = newFile();
  const first = new OpenSnapshots(file);
  for (const one of [place('db@s1'), place('db@s1'), place('db@s2'), place('db@s1', 'oslo-2')]) await first.add(one);
  const second = new OpenSnapshots(file);
  expect(await second.of('oslo-1')).toEqual([place('db@s1'), place('db@s2')]);
  await second.remove(place('db@s1'));
  expect(await new OpenSnapshots(file).of('oslo-1')).toEqual([place('db@s2')]);
  expect(await new OpenSnapshots(file).of('oslo-2')).toEqual([place('db@s1', 'oslo-2')]);
});

test('the oldest one beyond the bound is forgotten', async () => {
  const opens = new OpenSnapshots(newFile());
  for (let number = 0; number <= OPEN_SNAPSHOTS_MAX; number++) await opens.add(place(`db@s${number}`));
  const left = await opens.of('oslo-1');
  expect([left.length, left[0]]).toEqual([OPEN_SNAPSHOTS_MAX, place('db@s1')]);
});

test('a damaged file is refused, and stays', async () => {
  const file = newFile();
  await new OpenSnapshots(file).add(place('db@s1'));
  writeFileSync(file, '{');
  await expect(new OpenSnapshots(file).add(place('db@s2'))).rejects.toMatchObject({
    code: 'E_SYSTEM',
    message: expect.stringContaining('rsadm client release'),
  });
});
